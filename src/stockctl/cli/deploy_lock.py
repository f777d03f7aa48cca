"""`stockctl deploy`: lock · unlock."""

from __future__ import annotations

from typing import Annotated

import typer

from stockctl.cli.deploy import app
from stockctl.cli.guard import Plan
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import UsageError
from stockctl.env.needs import RECORDS


@verb(
    app,
    "lock",
    example='stockctl deploy lock prod --message "the sale runs until Monday, ask Ada"',
    exits=(2, 3, 6),
)
def lock(
    session: Session,
    name: str,
    message: Annotated[
        str, typer.Option("--message", metavar="TEXT", help="Why; whoever is refused reads it.")
    ],
    plan: Plan = False,
) -> Result:
    """Stops deploys and rollbacks until `deploy unlock`; what runs goes on.

    This is a sign on the door. That two never deploy at once needs no verb: whoever deploys holds
    a lock that goes with the process.
    """
    from stockctl.deploy.freeze import freeze, frozen

    if not message.strip():
        raise UsageError("--message is empty: whoever is refused has to know why")
    opened = open_environment(session, name, needs=RECORDS)
    if plan:
        was = frozen(opened.journal)
        session.output.line(f"{name} would be frozen" + (f"; it is {was}" if was else ""))
        return Result({"planned": {"frozen": True, "was_frozen": was is not None}})
    opened.prepare()
    made = freeze(opened.journal, message.strip())
    session.output.line(f"{name} is {made}", style="green")
    return Result({"frozen": made.to_json()})


@verb(app, "unlock", example="stockctl deploy unlock prod", exits=(2, 3, 6))
def unlock(session: Session, name: str, plan: Plan = False) -> Result:
    """Lets deploys and rollbacks go on after `deploy lock`."""
    from stockctl.deploy.freeze import frozen, thaw

    journal = open_environment(session, name, needs=RECORDS).journal
    if plan:
        sign = frozen(journal)
        session.output.line(f"{name} is {sign}; it would be open" if sign else f"{name} is open")
        return Result({"planned": {"frozen": False, "was_frozen": sign is not None}})
    was = thaw(journal)
    session.output.line(f"{name} was {'frozen, and is open again' if was else 'not frozen'}")
    return Result({"was_frozen": was})
