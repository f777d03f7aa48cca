"""After a restore that failed: the live database lets everybody in again, or a person is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stockctl.backup.swap import kept, maintenance, recover
from stockctl.core.errors import PersonNeeded, StockctlError, Terminated
from stockctl.core.progress import Progress
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from stockctl.backup.restore_plan import RestorePlan

# A second Ctrl-C comes as easily as the first: here it must not pass without a word.
_CUT_SHORT = (StockctlError, KeyboardInterrupt, Terminated)


def put_back(
    plan: RestorePlan, database: Database, progress: Progress, cause: BaseException
) -> None:
    """The marks tell how far it got: also when a signal came while the swap was committed.

    Raises PersonNeeded, with the state and what to type, when the swap had begun and undoing it
    was cut short too. Before the swap the live database was never touched: then `cause` gets a
    note.
    """
    try:
        recover(database, progress)
        with maintenance(database) as connection:
            swapped = plan.previous_database in kept(connection, plan.database)
    except _CUT_SHORT as second:
        begun = any(step.name == "swap" for step in progress.steps)
        if begun and not (entered := _lets_in(database)):
            raise _person_needed(
                database, plan.backup.environment, entered, cause, second
            ) from cause
        cause.add_note(_left(plan, begun, str(second) or "interrupted"))
        return
    if swapped:
        progress.warn(
            f"the swap was already done: {plan.database} is backup {plan.backup.id},"
            f" what was there before is {plan.previous_database}"
        )
    elif plan.previous_database is not None:
        progress.say(f"{plan.database} is as it was")


def _left(plan: RestorePlan, begun: bool, reason: str) -> str:
    if not begun:
        return f"{plan.new_database} is left for the next run to drop: {reason}"
    return (
        f"{plan.database} is open, but nobody looked whether the swap was done ({reason}):"
        f" if there is a {plan.previous_database}, that is what was there before"
    )


def reopen(database: Database, environment: str, progress: Progress, cause: BaseException) -> None:
    """After an undo that failed: both databases are where they were, and open. Raises PersonNeeded
    when that was cut short too."""
    try:
        recover(database, progress)
    except _CUT_SHORT as second:
        if not (entered := _lets_in(database)):
            raise _person_needed(database, environment, entered, cause, second) from cause
        cause.add_note(f"the next run puts the rest right: {second or 'interrupted'}")


def _person_needed(
    database: Database,
    environment: str,
    entered: bool | None,
    cause: BaseException,
    second: BaseException,
) -> PersonNeeded:
    state = "may be closed" if entered is None else "is closed"
    said = (str(each) or "interrupted" for each in (cause, second))
    name = database.dsn.database
    return PersonNeeded(
        f"the swap failed, and {name} {state} to connections",
        details="\n".join(said),
        hint="When the server answers, any backup or restore puts it right:"
        f" stockctl backup create {environment}\n"
        f'By hand: ALTER DATABASE "{name}" ALLOW_CONNECTIONS true',
    )


def _lets_in(database: Database) -> bool | None:
    """Whether the live database can be entered; None when nobody can say."""
    name = database.dsn.database
    try:
        with maintenance(database) as connection, errors(f"look at {name}"):
            found = connection.execute(
                "SELECT datallowconn FROM pg_database WHERE datname = %s", (name,)
            ).fetchone()
    except _CUT_SHORT:
        return None
    return bool(found[0]) if found else None
