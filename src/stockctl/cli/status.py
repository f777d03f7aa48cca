"""`stockctl status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.command import Group
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.errors import Unhealthy, UsageError
from stockctl.env.needs import RECORDS

if TYPE_CHECKING:
    from stockctl.cli.findings import Line
    from stockctl.deploy.overview.gather import Overview
    from stockctl.deploy.overview.questions import Memory
    from stockctl.deploy.site import Site

app = Group()
REFRESH_S = 2.0


@verb(
    app,
    "status",
    example="stockctl status prod\nstockctl status prod --watch"
    "\nstockctl status prod --json | jq .data.advice",
    exits=(2, 3, 9),
)
def status(
    session: Session,
    name: str,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh every two seconds, until Ctrl-C.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 9 unless all of it is well.")
    ] = False,
) -> Result:
    """Shows what is live, whether it is well, and the next command to type.

    Every piece is asked at the same time and has two seconds: what cannot be reached says so and
    holds up nothing. docs/status.md
    """
    if watch and session.as_json:
        raise UsageError("--watch and --json: one document is printed, once")
    from stockctl.deploy.overview.questions import Memory
    from stockctl.system.engine_sdk import load_sdk

    opened = open_environment(session, name, needs=RECORDS)
    if opened.environment.service is not None:
        load_sdk()
    memory = Memory()
    with opened.site(looking=True) as site:
        overview = _look(opened, site, memory)
        if watch:
            overview = _watch(session, opened, site, memory, overview)
        else:
            session.output.lines(_screen(session, opened, overview))
    ill = exit_code and not overview.well
    return Result(_data(overview), exit_code=Unhealthy.exit_code if ill else 0)


def _look(opened: Opened, site: Site, memory: Memory) -> Overview:
    from stockctl.deploy.overview.gather import gather
    from stockctl.deploy.overview.questions import questions

    asked = questions(site, opened.store, memory, opened.session.clock)
    return gather(asked, opened.environment.name)


def _screen(session: Session, opened: Opened, overview: Overview) -> list[Line]:
    from stockctl.cli.status_view import screen

    environment, output = opened.environment, session.output
    title = (
        f"{environment.service.name} · {environment.name}"
        if environment.service
        else environment.name
    )
    return screen(overview, title, session.clock.now(), output.clean, output.width)


def _watch(
    session: Session, opened: Opened, site: Site, memory: Memory, overview: Overview
) -> Overview:
    """Until Ctrl-C, which is how one ends it and no failure. Where nothing can be redrawn, each
    look is a block of its own."""
    from stockctl.cli.redraw import redrawing

    with redrawing(session.output) as show:
        try:
            while True:
                show(_screen(session, opened, overview))
                session.clock.sleep(REFRESH_S)
                overview = _look(opened, site, memory)
        except KeyboardInterrupt:
            return overview


def _data(overview: Overview) -> dict[str, Any]:
    """As the contract names it."""

    def of(*names: str) -> dict[str, Any] | None:
        parts = [part for name in names if (part := overview.part(name))]
        merged = {key: value for part in parts for key, value in part.data.items()}
        return {**merged, "level": max((p.level for p in parts), key=_badness)} if parts else None

    return {
        "well": overview.well,
        "release": of("live", "containers", "spare"),
        "health": of("health"),
        "database": of("database"),
        "backups": of("backups"),
        "host": of("disk", "lock", "last"),
        "advice": [
            {"command": each.command, "why": each.why, "level": each.level.value}
            for each in overview.advice
        ],
    }


def _badness(level: str) -> int:
    return ("good", "notice", "unknown", "bad").index(level)
