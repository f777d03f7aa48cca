"""`stockctl deploy maintenance`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stockctl.cli.deploy import app
from stockctl.cli.guard import Confirm, Yes, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import UsageError
from stockctl.core.units import parse_duration
from stockctl.env.needs import RELEASES

MESSAGE = "We are working on it, and will be back soon."


@verb(
    app,
    "maintenance",
    example="stockctl deploy maintenance prod --on --retry-after 10m"
    '\nstockctl deploy maintenance prod --on --message "Back at 4 am."'
    "\nstockctl deploy maintenance prod --off",
    exits=(2, 3, 4, 5, 6),
)
def maintenance(
    session: Session,
    name: str,
    on: Annotated[bool, typer.Option("--on", help="Answer everybody with the page.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Let them in again.")] = False,
    message: Annotated[
        str, typer.Option("--message", metavar="TEXT", help="What the page says.")
    ] = MESSAGE,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="HTML of your own instead.")
    ] = None,
    retry_after: Annotated[
        str, typer.Option("--retry-after", metavar="D", help="When to come back.")
    ] = "5m",
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Answers with 503, Retry-After and a page, while the health check goes on as it is.

    It outlasts deploys and rollbacks: they smoke-test the release directly meanwhile. Needs the
    proxy of the strategy `rolling`.
    """
    from stockctl.deploy.maintenance import switch_off, switch_on

    if on == off:
        raise UsageError("give either --on or --off")
    opened = open_environment(session, name, needs=RELEASES)
    with opened.site() as site:
        if off:
            was = switch_off(site)
            said = "ended" if was else "was not on"
            session.output.line(f"{name}: maintenance {said}", style="green")
            return Result({"maintenance": False, "was_on": was})
        if opened.environment.protected:
            what = f"answer everybody on {name} with 503"
            confirm(session, name, what, protected=True, given=given, yes=yes)
        switch_on(site, _body(message, page), _seconds(retry_after))
    session.output.line(f"{name}: everybody gets 503 and the page", style="yellow")
    return Result({"maintenance": True})


def _body(message: str, file: Path | None) -> bytes:
    from stockctl.deploy.maintenance import page

    if file is None:
        return page(message)
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"--page: cannot read {file}: {error.strerror}") from None


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--retry-after: {error}") from None
