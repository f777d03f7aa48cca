"""`stockctl deploy history`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.deploy import app
from stockctl.cli.session import Result, Session
from stockctl.cli.table import Row
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.errors import UsageError
from stockctl.core.units import format_age, format_duration, format_instant
from stockctl.env.needs import RELEASES

if TYPE_CHECKING:
    from datetime import datetime

    from stockctl.deploy.release import Release

COLUMNS = ("RELEASE", "VERSION", "STATE", "WHEN", "TOOK", "SCHEMA", "WHO", "")
COLOURS = {"live": "green", "failed": "red", "withdrawn": "red", "interrupted": "yellow"}


@verb(
    app,
    "history",
    example="stockctl deploy history prod\nstockctl deploy history prod --release r0007",
    exits=(2, 3, 6),
)
def history(
    session: Session,
    name: str,
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="rNNNN", help="Only this one, with all that is known."),
    ] = None,
) -> Result:
    """Shows the recorded releases, also those that failed, newest first."""
    from stockctl.deploy.release import Releases

    opened = open_environment(session, name, needs=RELEASES)
    releases = Releases(opened.host, opened.directory)
    live, found = releases.live(), releases.all()[::-1]
    states = {each.id: _state(each, live, opened) for each in found}
    if release is not None:
        found = [each for each in found if each.id == release]
        if not found:
            hint = f"There are: {', '.join(states) or 'none'}."
            raise UsageError(f"no release {release}", hint=hint)
        _show(session, found[0], states[release])
    else:
        now = opened.clock.now()
        rows = [_row(now, each, states[each.id]) for each in found]
        session.output.table(COLUMNS, rows, f"nothing was deployed to {name} yet")
    return Result({"releases": [each.to_json() for each in found]})


def _state(release: Release, live: Release | None, opened: Opened) -> str:
    """`started` is what a deploy leaves that was killed, unless one is at work now."""
    if live is not None and release.id == live.id:
        return "live"
    if release.withdrawn:
        return "withdrawn"
    if release.state.value != "started":
        return release.state.value
    return "running" if opened.host.holder(opened.lock_file) else "interrupted"


def _row(now: datetime, release: Release, state: str) -> Row:
    age = format_age((now - release.created_at).total_seconds())
    took = format_duration(sum(step.duration_s for step in release.steps))
    schema = (release.schema_head or "").partition("_")[0]
    who, reason = release.who, release.reason
    return Row(
        (release.id, release.version, state, age, took, schema, who, reason),
        COLOURS.get(state, ""),
    )


def _show(session: Session, release: Release, state: str) -> None:
    """Everything that is recorded of one release."""
    dirty = ", from a working tree that differed from it" if release.dirty else ""
    said = {
        "version": release.version,
        "state": f"{state}: {release.reason}" if release.reason else state,
        "when": format_instant(release.created_at),
        "who": release.who,
        "image": release.image,
        "image id": release.image_id or "none: it ended before there was one",
        "commit": f"{release.commit}{dirty}" if release.commit else "not known",
        "configuration": release.configuration or "not known",
        "schema": release.schema_head or "none",
        "migrations": ", ".join(release.migrations) or "none",
        "previous": release.previous or "none",
    }
    line = session.output.line
    line(release.id, style=COLOURS.get(state, "bold"))
    for key, value in said.items():
        line(f"  {key:<15}{value}")
    for step in release.steps:
        mark, style = ("✓", "green") if step.ok else ("✗", "red")
        line(f"  {mark} {step.name:<30} {format_duration(step.duration_s):>7}", style=style)
