"""`stockctl db repair`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.db import app
from stockctl.cli.guard import Confirm, Plan, Yes, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import UsageError

if TYPE_CHECKING:
    from stockctl.db.ledger import Status
    from stockctl.db.repair import As, Repair

_NEEDED = "say which migration and how it is: --migration ID --as applied|reverted|accepted"


@verb(
    app,
    "repair",
    example="stockctl db repair staging --plan"
    "\nstockctl db repair staging --migration 0007 --as applied",
    exits=(2, 3, 4, 5, 6, 7),
)
def repair_migration(
    session: Session,
    name: str,
    migration: Annotated[
        str | None, typer.Option("--migration", metavar="ID", help="The one that is meant.")
    ] = None,
    how: Annotated[
        str | None, typer.Option("--as", metavar="HOW", help="applied, reverted or accepted.")
    ] = None,
    plan: Plan = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Says how a changed, missing or dirty migration really is. Runs no script, changes no table.

    `--as applied`: all of it is in the database. `--as reverted`: nothing of it is. `--as
    accepted`: the file was edited, and still gives the schema that was applied. Look first:
    stockctl db shell. `--plan` alone lists what can be repaired, and how.
    """
    from stockctl.db.ledger import read_status
    from stockctl.db.repair import plan_repair, repair

    opened = open_environment(session, name, changes=True)
    with opened.database() as database:
        files = opened.migrations()
        found = read_status(database, files)
        if migration is None or how is None:
            return _list(session, found, only_listed=plan and migration is None and how is None)
        todo = plan_repair(found, files, migration, _choice(how))
        session.output.note(f"to repair: {todo.id} is {todo.situation}; {_said(todo)}")
        if plan:
            return Result({"planned": [_data(todo)], "repaired": []})
        protected = opened.environment.protected
        what = f"take {todo.id} of {name} as {todo.choice}: {todo.way.means}"
        confirm(session, name, what, protected=protected, given=given, yes=yes)
        with opened.journal.alone(opened.lock_file, f"db repair {todo.id} as {todo.choice}"):
            repair(database, todo, files)
    session.output.line(f"{todo.id} is taken as {todo.choice}", style="green")
    return Result({"planned": [], "repaired": [_data(todo)]})


def _choice(text: str) -> As:
    from stockctl.db.repair import As

    try:
        return As(text)
    except ValueError:
        raise UsageError(f"--as: expected applied, reverted or accepted, got {text}") from None


def _said(todo: Repair) -> str:
    return f"as {todo.choice}: {todo.way.means}"


def _data(todo: Repair) -> dict[str, str]:
    return {"id": todo.id, "was": todo.situation.value, "as": todo.choice.value}


def _list(session: Session, found: Status, *, only_listed: bool) -> Result:
    """What can be repaired and how. Raises UsageError unless that is what was asked for."""
    from stockctl.db.repair import described, repairable

    lines = [
        f"{entry.id} is {situation}:\n  " + "\n  ".join(described(situation))
        for entry, situation in repairable(found)
    ]
    if not only_listed:
        raise UsageError(
            _NEEDED, details="\n".join(lines), hint="Look first: stockctl db status ENV"
        )
    for line in lines or ["nothing to repair"]:
        session.output.line(line)
    choices = [
        {"id": entry.id, "was": situation.value, "choices": list(described(situation))}
        for entry, situation in repairable(found)
    ]
    return Result({"repairable": choices, "planned": [], "repaired": []})
