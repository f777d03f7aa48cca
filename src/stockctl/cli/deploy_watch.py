"""`stockctl deploy watch`, and the watching after a deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.deploy import app
from stockctl.cli.guard import Confirm, Yes, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.watching import watch_and_withdraw, watch_only
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import Unhealthy, UsageError
from stockctl.core.units import parse_duration

if TYPE_CHECKING:
    from stockctl.deploy.watching.run import Watched


@verb(
    app,
    "watch",
    example="stockctl deploy watch prod"
    "\nstockctl deploy watch prod --for 10m --rollback --confirm prod",
    exits=(2, 3, 4, 5, 6, 9, 11),
)
def watch(
    session: Session,
    name: str,
    seconds: Annotated[
        str | None, typer.Option("--for", metavar="D", help="Default: watch.duration.")
    ] = None,
    back: Annotated[
        bool, typer.Option("--rollback", help="Bring the previous release back if it has to go.")
    ] = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Watches the live release: health, restarts, errors, p95, processors, memory.

    A threshold of [watch] that is broken for `watch.sustained` ends it with exit 9; with --rollback
    the previous release serves again then, and is stopped where all was well and its soak is over.
    Of too few requests nothing is said. docs/watch.md
    """
    opened = open_environment(session, name)
    try:
        length = parse_duration(seconds) if seconds else opened.environment.watch.duration
    except ValueError as error:
        raise UsageError(f"--for: {error}") from None
    with opened.site() as site:
        _ = site.service
        if back:
            what = f"roll {name} back without asking again, if the live release is not well"
            protected = opened.environment.protected
            confirm(session, name, what, protected=protected, given=given, yes=yes)
            return Result(_data(watch_and_withdraw(session, site, length)))
        watched = watch_only(session, site, length)
    return Result(_data(watched), exit_code=Unhealthy.exit_code if watched.reason else 0)


def _data(watched: Watched) -> dict[str, Any]:
    return {
        "release": watched.release.id,
        "looks": watched.looks,
        "reason": watched.reason or None,
        "ended": watched.ended or None,
        "judged": watched.judged,
    }
