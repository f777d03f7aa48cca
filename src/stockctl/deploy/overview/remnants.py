"""What restores left on the server, as one or two lines of the database's piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stockctl.backup.create import LOCK_FILE
from stockctl.backup.remnants import Kind, Remnant, remnants
from stockctl.core.errors import HostFailed, ToolFailed
from stockctl.core.units import format_age, format_duration, format_size
from stockctl.deploy.overview.host import FULL
from stockctl.deploy.overview.part import TIDY, Advice, Level
from stockctl.system.disk import usage

if TYPE_CHECKING:
    from psycopg import Connection

    from stockctl.deploy.site import Site

OLD_S = 7 * 86400.0  # by then somebody knows whether the restore was right
SHOWN = 3
_WORDS = {
    Kind.KEPT: "replaced by a restore",
    Kind.RETURNING: "on its way back by backup undo",
    Kind.UNFINISHED: "copy of an unfinished restore",
    Kind.TABLE: "brought back by restore --table",
}


def left_by_restores(site: Site, connection: Connection[Any]) -> tuple[Remnant, ...]:
    """Asked over the connection that the piece has. Raises DatabaseFailed."""
    assert site.database is not None
    return remnants(connection, site.database.dsn.database)


def said(found: Sequence[Remnant], site: Site) -> tuple[str, ...]:
    """Name, size and age of each; of many, the largest."""
    largest = sorted(found, key=lambda each: each.size_bytes or 0, reverse=True)
    lines = [_line(each, site) for each in largest[:SHOWN]]
    more = largest[SHOWN:]
    if more:
        size = sum(each.size_bytes or 0 for each in more)
        lines.append(f"and {len(more)} more that restores left, {format_size(size)}")
    return tuple(lines)


def advice(found: Sequence[Remnant], site: Site) -> tuple[Advice, ...]:
    """To look at them, where one is old or of a restore that died, or where disk is short."""
    why = _why(found, site) if found else ""
    command = f"stockctl backup tidy {site.environment.name} --plan"
    return (Advice(TIDY, command, why, Level.NOTICE),) if why else ()


def data(found: Sequence[Remnant], site: Site) -> list[dict[str, object]]:
    """For programs."""
    return [each.data(site.clock.now()) for each in found]


def _line(each: Remnant, site: Site) -> str:
    size = "size not known" if each.size_bytes is None else format_size(each.size_bytes)
    age_s = each.age_s(site.clock.now())
    when = "" if age_s is None else f", {format_age(age_s)}"
    return f"{each.name}: {_WORDS[each.kind]}{when}, {size}"


def _why(found: Sequence[Remnant], site: Site) -> str:
    size = format_size(sum(each.size_bytes or 0 for each in found))
    oldest = max((each.age_s(site.clock.now()) or 0 for each in found), default=0)
    if oldest > OLD_S:
        return f"what restores left takes {size}, since {format_duration(oldest)}"
    if any(each.kind is Kind.UNFINISHED for each in found) and not _at_work(site):
        return f"a restore was cut short; what it left takes {size}"
    try:
        disk = usage(site.host, site.directory)
    except (HostFailed, ToolFailed):
        return ""
    short = 1 - disk.free / disk.total > FULL
    return f"disk is short, and what restores left takes {size}" if short else ""


def _at_work(site: Site) -> bool:
    return site.host.holder(site.directory / LOCK_FILE) is not None
