"""`stockctl deploy logs`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.deploy import app
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import UsageError
from stockctl.env.needs import RELEASES

if TYPE_CHECKING:
    from stockctl.deploy.logs import Said

LINES = 100


@verb(
    app,
    "logs",
    example="stockctl deploy logs prod --follow"
    "\nstockctl deploy logs prod --release r0007 --lines 500"
    "\nstockctl deploy logs prod --service postgres",
    exits=(2, 3, 6),
)
def logs(
    session: Session,
    name: str,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="And what comes.")] = False,
    release: Annotated[
        str | None, typer.Option("--release", metavar="rNNNN", help="Default: the live one.")
    ] = None,
    service: Annotated[
        list[str] | None,
        typer.Option("--service", metavar="NAME", help="Default: what a release replaces."),
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", metavar="N", min=0, help="How many to begin with.")
    ] = LINES,
) -> Result:
    """Shows what the containers write. Secrets of the environment are masked in it.

    `--follow` goes on with the next release after a deploy; Ctrl-C ends it.
    """
    from stockctl.deploy import logs

    if follow and session.as_json:
        raise UsageError("--follow never ends, --json is one document: give one of the two")
    opened = open_environment(session, name, needs=RELEASES)
    with opened.site(looking=True) as site:
        found = logs.sources(site, release, service or ())
        if follow:
            _show(session, logs.follow(site, release, service or (), lines))
            return Result()
        said = logs.read(site, found, lines)
    _show(session, said, always=len(found) > 1)
    if not said:
        session.output.note("nothing was written" if found else f"{name} has no containers")
    return Result({"lines": [asdict(each) for each in said]})


def _show(session: Session, said: Iterable[Said], *, always: bool = False) -> None:
    """Whose line it is, once there is more than one container."""
    seen: set[str] = set()
    for each in said:
        seen.add(each.container)
        named = always or len(seen) > 1
        session.output.line(f"{each.container}  {each.text}" if named else each.text)
