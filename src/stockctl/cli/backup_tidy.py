"""`stockctl backup tidy`: what restores left is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.backup import app
from stockctl.cli.guard import Confirm, Plan, Yes, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.table import Row
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import UsageError
from stockctl.core.units import format_size, parse_duration
from stockctl.env.needs import BACKUP

if TYPE_CHECKING:
    from datetime import datetime

    from stockctl.backup.tidy import TidyPlan, Verdict

OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="D", help="Only what is older, like `7d`.")
]


@verb(
    app,
    "tidy",
    example="stockctl backup tidy prod --plan\nstockctl backup tidy prod --older-than 7d",
    exits=(2, 3, 4, 5, 6, 7),
)
def tidy(
    session: Session,
    name: str,
    older_than: OlderThan = None,
    plan: Plan = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Drops what restores left: replaced databases, copies cut short, tables of --table.

    A replaced database is what `backup undo` brings back: afterwards it cannot. Only what bears
    the mark of a restore of this database goes, and nothing that somebody is connected to.
    """
    from stockctl.backup.tidy import plan_tidy
    from stockctl.deploy.safety import tidy_restores

    age_s = _seconds(older_than)
    opened = open_environment(session, name, needs=BACKUP, changes=True)
    now, protected = opened.clock.now(), opened.environment.protected
    with opened.database() as database:
        todo = plan_tidy(database, name, now, age_s)
        _show(session, todo)
        data = _data(todo, now)
        if plan or not todo.remove:
            return Result({**data, "removed": []})
        confirm(session, name, _what(todo), protected=protected, given=given, yes=yes)
        gone = tidy_restores(
            opened.environment, todo, database, opened.store(), opened.journal, session.progress()
        )
    freed = format_size(sum(each.size_bytes or 0 for each in gone))
    session.output.line(f"{len(gone)} dropped, {freed}", style="green")
    return Result({**data, "removed": [each.name for each in gone]})


def _seconds(text: str | None) -> float:
    try:
        return parse_duration(text) if text else 0.0
    except ValueError as error:
        raise UsageError(f"--older-than: {error}") from None


def _what(todo: TidyPlan) -> str:
    names = ", ".join(each.remnant.name for each in todo.remove)
    after = "; backup undo can bring nothing back then" if todo.ends_undo else ""
    return f"drop {names}{after}"


def _show(session: Session, todo: TidyPlan) -> None:
    rows = [_row(each, "keep", "") for each in todo.keep]
    rows += [_row(each, "drop", "yellow") for each in todo.remove]
    empty = f"no restore of {todo.database} has left anything"
    session.output.table(("NAME", "SIZE", "", "WHY"), rows, empty)
    if todo.ends_undo:
        session.output.note("careful   backup undo can bring nothing back then", style="yellow")


def _row(verdict: Verdict, word: str, style: str) -> Row:
    size = verdict.remnant.size_bytes
    shown = "not known" if size is None else format_size(size)
    return Row((verdict.remnant.name, shown, word, verdict.reason), style)


def _data(todo: TidyPlan, now: datetime) -> dict[str, Any]:
    def of(verdict: Verdict) -> dict[str, Any]:
        return {**verdict.remnant.data(now), "reason": verdict.reason}

    return {
        "remove": [of(each) for each in todo.remove],
        "keep": [of(each) for each in todo.keep],
        "undo_possible": todo.undo_after,
    }
