"""`stockctl db baseline`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.db import app
from stockctl.cli.guard import Confirm, Plan, Yes, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.units import counted

if TYPE_CHECKING:
    from stockctl.db.baseline import BaselinePlan


@verb(
    app,
    "baseline",
    example="stockctl db baseline prod --to 0012 --plan\nstockctl db baseline prod --to 0012",
    exits=(3, 4, 5, 6, 7),
)
def baseline(
    session: Session,
    name: str,
    to: Annotated[
        str, typer.Option("--to", metavar="ID", help="Up to and with this one it is there already.")
    ],
    plan: Plan = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Adopts a database that was made by hand, by drizzle-kit or by another tool.

    Marks the migrations up to ID as applied, without running one, if its schema is exactly what
    they give on a scratch database. Otherwise the difference is shown and nothing is marked.
    """
    from stockctl.db.baseline import baseline, plan_baseline, refuse_differences
    from stockctl.db.scratch import scratch
    from stockctl.db.session import Limits

    opened = open_environment(session, name, changes=True)
    migrations, progress = opened.migrations(), session.progress()
    settings = opened.database_settings()
    with opened.database() as live:
        with scratch(live, "db baseline", progress) as made:
            trial = Limits(0, settings.statement_timeout)
            todo = plan_baseline(live, made, migrations, to, trial, progress)
        _show(session, todo)
        refuse_differences(todo)
        if plan:
            return Result({"planned": [each.id for each in todo.migrations], "marked": []})
        what = f"record {counted(len(todo.migrations), 'migration')} of {name} as applied"
        protected = opened.environment.protected
        confirm(session, name, what, protected=protected, given=given, yes=yes)
        with opened.journal.alone(opened.lock_file, "db baseline"):
            limits = Limits(settings.lock_timeout, settings.statement_timeout)
            marked = baseline(live, todo, limits)
    session.output.line(f"{len(marked)} recorded, the schema is at {marked[-1]}", style="green")
    return Result({"marked": list(marked), "head": marked[-1]})


def _show(session: Session, todo: BaselinePlan) -> None:
    output = session.output
    if todo.journal is not None:
        output.note(f"{todo.journal}; it stays as it is, and db migrate does not look at it")
    for migration in () if todo.differences else todo.migrations:
        output.note(f"to record: {migration.id}")
