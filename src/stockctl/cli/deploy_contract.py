"""`stockctl deploy contract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stockctl.cli.deploy import app
from stockctl.cli.guard import Confirm, Plan, SkipBackup, Yes, confirm
from stockctl.cli.patience import Wait, patiently
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.units import counted

if TYPE_CHECKING:
    from stockctl.db.runner import Applied
    from stockctl.deploy.schema import ContractPlan


@verb(
    app,
    "contract",
    example="stockctl deploy contract prod --plan\nstockctl deploy contract prod --confirm prod",
    exits=(2, 3, 4, 5, 6, 7),
)
def contract(
    session: Session,
    name: str,
    plan: Plan = False,
    skip_backup: SkipBackup = False,
    wait: Wait = None,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Applies the contract migrations that waited when the live release was deployed.

    They take away what older releases need: it says which of them cannot come back afterwards,
    asks, and makes a backup first.
    """
    from stockctl.deploy.freeze import require_thawed
    from stockctl.deploy.schema import contract, plan_contract

    opened = open_environment(session, name, changes=True)

    def attempt(left_s: float) -> Result:
        todo = plan_contract(site)
        _show(session, todo)
        if plan or not todo.migrations.migrations:
            return Result(_data(todo, ()))
        protected = opened.environment.protected
        confirm(session, name, _what(todo, name), protected=protected, given=given, yes=yes)
        store = opened.store()
        applied = contract(site, todo, store, backup=not skip_backup, wait_s=left_s)
        session.output.line(f"{len(applied)} applied", style="green")
        return Result(_data(todo, applied))

    with opened.site() as site:
        if not plan:
            require_thawed(site.journal)
        return patiently(site, wait, attempt)


def _what(todo: ContractPlan, name: str) -> str:
    many = len(todo.migrations.migrations)
    closed = ", ".join(release.id for release in todo.closes)
    back = f"; {closed} cannot come back afterwards" if closed else ""
    return f"apply {counted(many, 'contract migration')} to {name}{back}"


def _show(session: Session, todo: ContractPlan) -> None:
    from stockctl.db.lint.locks import expected

    note = session.output.note
    for migration in todo.migrations.migrations:
        locks = ", ".join(str(lock) for lock in expected(migration.up))
        note(f"to apply  {migration.id}{f'  (locks {locks})' if locks else ''}")
    for each in todo.unexpected:
        note(f"waits     {each}  ({todo.live.id} came before it: deploy first)")
    if not todo.migrations.migrations:
        note("nothing to apply")
    elif todo.closes:
        note(f"closes    the way back to {', '.join(release.id for release in todo.closes)}")
    else:
        note("closes    the way back to no release that is kept")


def _data(todo: ContractPlan, applied: tuple[Applied, ...]) -> dict[str, Any]:
    return {
        "planned": [migration.id for migration in todo.migrations.migrations],
        "waits": list(todo.unexpected),
        "closes": [release.id for release in todo.closes],
        "applied": [{"id": a.id, "duration_s": round(a.duration_s, 3)} for a in applied],
    }
