"""`stockctl backup undo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stockctl.cli.backup import app
from stockctl.cli.guard import Confirm, Plan, Yes, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment

if TYPE_CHECKING:
    from stockctl.backup.undo import UndoPlan


@verb(app, "undo", example="stockctl backup undo staging --plan", exits=(3, 4, 5, 6, 7, 11))
def undo(
    session: Session, name: str, plan: Plan = False, given: Confirm = None, yes: Yes = False
) -> Result:
    """Brings back the database that the last restore replaced, by the same swap of names.

    What is live now is kept in its turn: another undo brings that back.
    """
    from stockctl.backup.undo import plan_undo
    from stockctl.deploy.safety import undo_restore

    opened = open_environment(session, name, changes=True)
    with opened.database() as database:
        todo = plan_undo(database, name, opened.clock.now())
        _show(session, todo)
        data = {"database": todo.database, "previous_database": todo.keep_as}
        if plan:
            return Result({"planned": {**data, "returning": todo.returning}})
        what = f"replace the database {todo.database} by {todo.returning}"
        protected = opened.environment.protected
        confirm(session, name, what, protected=protected, given=given, yes=yes)
        done = undo_restore(
            opened.environment, todo, database, opened.store(), opened.journal, session.progress()
        )
    session.output.line(
        f"{done.database} is back; it was away for {done.outage_s * 1000:.0f} ms. What was live is"
        f" kept as {done.previous_database}.",
        style="green",
    )
    return Result({"restored": {**data, "outage_s": round(done.outage_s, 3)}})


def _show(session: Session, todo: UndoPlan) -> None:
    def rows(count: int | None) -> str:
        return "nobody can enter it" if count is None else f"{count} rows"

    note = session.output.note
    note(f"returns   {todo.returning}: {rows(todo.returning_rows)}")
    note(f"replaces  {todo.database}: {rows(todo.live_rows)}; it stays in {todo.keep_as}")
