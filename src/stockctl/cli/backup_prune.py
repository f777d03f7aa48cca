"""`stockctl backup prune`: what no rule wants goes, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.backup import app
from stockctl.cli.backup_view import warn_of_invalid
from stockctl.cli.guard import Confirm, Plan, Yes, confirm
from stockctl.cli.session import Result, Session
from stockctl.cli.table import Row
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.units import counted, format_age

if TYPE_CHECKING:
    from stockctl.backup.overview import Leftover, Overview
    from stockctl.backup.retention import Policy, PrunePlan
    from stockctl.env.model import BackupSettings

Differs = Annotated[
    bool, typer.Option("--exit-code", help="With --plan: exit 10 where something would go.")
]


@verb(app, "prune", example="stockctl backup prune prod --plan", exits=(3, 4, 5, 6, 10))
def prune(
    session: Session,
    name: str,
    plan: Plan = False,
    exit_code: Differs = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Removes the backups that no rule of `backup.keep` wants, each with its reason.

    The newest good one and pinned ones always stay, and `backup.minimum` that were read back
    whole, be it by `backup create`. What is broken or not ours is reported and not touched.
    """
    from stockctl.backup.overview import overview
    from stockctl.backup.prune import old_leftovers
    from stockctl.backup.retention import plan_prune

    opened = open_environment(session, name, changes=True)
    found = overview(opened.store(), name)
    policy = _policy(opened.environment.backup)
    todo = plan_prune(found.backups, policy, opened.clock.now(), found.checks)
    left = old_leftovers(found, todo)
    if plan or not session.quiet or not (yes or given):
        _show(session, todo, left)
    _warn(session, found)
    data = _data(todo, left, found)
    if plan or not (todo.remove or left):
        if not plan:  # the one before may have been killed
            _tell_metrics(opened)
        differs = plan and exit_code and bool(todo.remove or left)
        return Result({**data, "removed": []}, exit_code=10 if differs else 0)
    what = f"remove {counted(len(todo.remove), 'backup')} of {name}"
    what += f" and {counted(len(left), 'file')} of killed runs" if left else ""
    protected = opened.environment.protected
    confirm(session, name, what, protected=protected, given=given, yes=yes)
    gone = _carry_out(opened, todo)
    kept = len(found.backups) - len(gone)
    if not session.quiet:  # a cron job that went well says nothing
        session.output.line(f"{len(gone)} removed, {kept} kept", style="green")
    return Result({**data, "removed": gone})


def _carry_out(opened: Opened, todo: PrunePlan) -> list[str]:
    from stockctl.backup.prune import prune

    with opened.journal.operation("backup prune"):
        gone = prune(
            todo,
            opened.store(),
            environment=opened.environment.name,
            host=opened.host,
            directory=opened.directory,
            lock_holder=opened.journal.holder("backup prune"),
            progress=opened.session.progress(),
        )
    _tell_metrics(opened)
    return [drop.backup.id for drop in gone]


def _tell_metrics(opened: Opened) -> None:
    """Fewer backups than the last `backup create` has written."""
    from stockctl.deploy.announce import write_metrics

    progress, now = opened.session.progress(), opened.clock.now()
    write_metrics(opened.environment, opened.store(), opened.host, now, progress)


def _policy(settings: BackupSettings) -> Policy:
    from stockctl.backup.retention import Policy

    keep = settings.keep
    return Policy(
        last=keep.last,
        within_s=keep.within,
        daily=keep.daily,
        weekly=keep.weekly,
        monthly=keep.monthly,
        yearly=keep.yearly,
        minimum=settings.minimum,
    )


def _data(todo: PrunePlan, left: tuple[Leftover, ...], found: Overview) -> dict[str, Any]:
    return {
        "keep": [{"id": k.backup.id, "reason": "; ".join(k.reasons)} for k in todo.keep],
        "remove": [{"id": d.backup.id, "reason": d.reason} for d in todo.remove],
        "leftovers": [each.name for each in left],
        "invalid": [{"name": broken, "reason": reason} for broken, reason in found.invalid],
        "foreign": list(found.foreign),
    }


def _show(session: Session, todo: PrunePlan, left: tuple[Leftover, ...]) -> None:
    rows = [Row((k.backup.id, "keep", "; ".join(k.reasons))) for k in todo.keep]
    rows += [Row((d.backup.id, "remove", d.reason), "yellow") for d in todo.remove]
    for each in left:
        age = format_age((todo.now - each.modified).total_seconds())
        rows.append(Row((each.name, "sweep", f"it belongs to no manifest, {age}"), "yellow"))
    session.output.table(("BACKUP", "", "WHY"), rows, "no backups")


def _warn(session: Session, found: Overview) -> None:
    warn_of_invalid(session, found)
    for name in found.foreign:
        session.progress().warn(f"not ours, and not touched: {name}")
