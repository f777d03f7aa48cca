"""Releases that run on though their soak is over: nobody ends them but a command."""

from __future__ import annotations

from stockctl.core.errors import StockctlError
from stockctl.core.units import format_size
from stockctl.deploy import beside
from stockctl.deploy.overview.part import TIDY, Advice, Level, Part
from stockctl.deploy.site import Site
from stockctl.deploy.tidy import overdue

NAME = "spare"


def spare_part(site: Site) -> Part:
    """Says nothing where there is none; that the engine is away others say."""
    try:
        found = {release: _memory(site, release) for release in overdue(site)}
    except StockctlError:
        found = {}
    data = {"spare": [{"release": r, "memory_bytes": taken} for r, taken in found.items()]}
    if not found:
        return Part(NAME, Level.GOOD, (), data)
    said = tuple(
        f"{release} still runs for a quick rollback"
        + (f", {format_size(taken)}" if taken is not None else "")
        for release, taken in found.items()
    )
    why = f"the soak of {', '.join(found)} is over: this stops it, and it can still be started"
    command = f"stockctl deploy tidy {site.environment.name}"
    return Part(NAME, Level.NOTICE, said, data, (Advice(TIDY, command, why, Level.NOTICE),))


def _memory(site: Site, release_id: str) -> int | None:
    """Bytes that its containers hold; None where nobody can say."""
    running = [c for c in beside.containers(site, release_id) if c.status == "running"]
    try:
        return round(sum(site.engine.usage(each.id).memory_bytes for each in running))
    except StockctlError:
        return None
