"""`stockctl deploy rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.db_view import durations
from stockctl.cli.deploy import app
from stockctl.cli.guard import Confirm, DataLoss, Plan, SkipBackup, SkipHooks, Yes, confirm
from stockctl.cli.patience import Wait, patiently
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import UsageError
from stockctl.core.units import format_duration
from stockctl.env.needs import RELEASES

if TYPE_CHECKING:
    from stockctl.deploy.rollback import RollbackPlan, RolledBack

To = Annotated[str | None, typer.Option("--to", metavar="rNNNN", help="Default: the one before.")]
WithSchema = Annotated[
    bool,
    typer.Option("--with-database", help="Also take back the migrations that are in the way."),
]


@verb(
    app,
    "rollback",
    example="stockctl deploy rollback prod"
    "\nstockctl deploy rollback prod --to r0007 --with-database --plan",
    exits=(2, 3, 4, 5, 6, 7, 9, 11),
)
def rollback(
    session: Session,
    name: str,
    to: To = None,
    with_database: WithSchema = False,
    allow_data_loss: DataLoss = False,
    skip_backup: SkipBackup = False,
    plan: Plan = False,
    skip_hooks: SkipHooks = False,
    wait: Wait = None,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Brings an earlier release back, code and configuration. The database stays as it is.

    Where a contract migration has taken away what that release needs it is refused;
    `--with-database` runs the recorded down scripts first, newest first, after a backup.
    """
    opened = open_environment(session, name, needs=RELEASES, changes=True)  # it connects meanwhile
    from stockctl.deploy.freeze import require_thawed
    from stockctl.deploy.rollback import WithDatabase, plan_rollback, rollback

    def attempt(left_s: float) -> Result:
        todo = plan_rollback(site, to, with_database=with_database)
        running = f"{todo.running.id} ({todo.running.version})" if todo.running else "nothing"
        target = f"{todo.target.id} ({todo.target.version})"
        session.output.note(f"{running} → {target}")
        if with_database:
            _show_schema(session, todo)
        if plan:
            return Result({"planned": {"release": todo.target.id, "reverted": _ids(todo)}})
        what = f"put {target} in the place of {running} on {name}"
        what += f", and take back {', '.join(_ids(todo))}" if _ids(todo) else ""
        protected = opened.environment.protected
        confirm(session, name, what, protected=protected, given=given, yes=yes)
        how = None
        if todo.schema is not None:
            how = WithDatabase(opened.store(), not skip_backup, allow_data_loss)
        return _serves_again(session, rollback(site, todo, left_s, how), target)

    if allow_data_loss and not with_database:
        raise UsageError("--allow-data-loss goes with --with-database")
    with opened.site(hooks=not skip_hooks) as site:
        if not plan:
            require_thawed(site.journal)
        return patiently(site, wait, attempt)


def _serves_again(session: Session, done: RolledBack, target: str) -> Result:
    took = format_duration(done.switch_s)
    session.output.line(f"{target} serves again, after {took}", style="green")
    return Result(
        {
            "release": done.release.to_json(),
            "replaced": done.replaced.id if done.replaced else None,
            "switch_s": round(done.switch_s, 3),
            "reverted": durations(done.reverted),
        }
    )


def _ids(todo: RollbackPlan) -> list[str]:
    return [each.id for each in todo.schema.reversals] if todo.schema else []


def _show_schema(session: Session, todo: RollbackPlan) -> None:
    for each in todo.schema.reversals if todo.schema else ():
        session.output.note(f"to take back: {each.id}  ({each.source})")
    if todo.schema is None:
        session.output.note(f"no migration is in the way of {todo.target.id}: none is taken back")
