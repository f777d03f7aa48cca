"""`stockctl deploy maintenance`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.deploy import app
from stockctl.cli.guard import Confirm, Plan, Yes, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import UsageError
from stockctl.core.units import format_size, parse_duration
from stockctl.env.needs import RELEASES

if TYPE_CHECKING:
    from stockctl.deploy.site import Site

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
    plan: Plan = False,
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
    body, after_s = b"" if off else _body(message, page), _seconds(retry_after)
    opened = open_environment(session, name, needs=RELEASES)
    with opened.site() as site:
        if plan:
            return _planned(session, site, body, after_s)
        if off:
            was = switch_off(site)
            said = "ended" if was else "was not on"
            session.output.line(f"{name}: maintenance {said}", style="green")
            return Result({"maintenance": False, "was_on": was})
        if opened.environment.protected:
            what = f"answer everybody on {name} with 503"
            confirm(session, name, what, protected=True, given=given, yes=yes)
        switch_on(site, body, after_s)
    session.output.line(f"{name}: everybody gets 503 and the page", style="yellow")
    return Result({"maintenance": True})


def _planned(session: Session, site: Site, body: bytes, after_s: float) -> Result:
    """`body` is empty where it would be switched off."""
    from stockctl.deploy.maintenance import is_on

    name, was = site.environment.name, is_on(site, body)
    if body:
        page = f"503, a page of {format_size(len(body))} and Retry-After: {round(after_s)}"
        said = f"everybody would get {page}" + (", as already now" if was else "")
    else:
        said = "everybody would be let in again" if was else "maintenance is not on: nothing to do"
    session.output.line(f"{name}: {said}")
    return Result({"planned": {"maintenance": bool(body), "was_on": was}})


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
