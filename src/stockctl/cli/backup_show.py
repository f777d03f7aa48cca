"""`stockctl backup show` · `pin` · `unpin`: one backup, by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.backup import app
from stockctl.cli.backup_view import choose_backup, data_of, told
from stockctl.cli.guard import Plan
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.units import format_age, format_duration, format_instant, format_size
from stockctl.env.needs import BACKUP

if TYPE_CHECKING:
    from stockctl.backup.checks import Checks

Id = Annotated[str, typer.Option("--backup", metavar="ID", help="An id of backup list, or latest.")]


@verb(app, "show", example="stockctl backup show prod --backup latest", exits=(3, 6, 8))
def show(session: Session, name: str, which: Id = "latest") -> Result:
    """Shows all that is known of one backup: what is in it, what opens it, when it was checked."""
    from stockctl.backup.checks import read_checks

    opened = open_environment(session, name, needs=BACKUP)
    store = opened.store()
    backup = choose_backup(opened, store, which)
    checks, now = read_checks(store, backup), opened.clock.now()
    keys = ", ".join(backup.recipients) or "in the clear"
    facts = {
        "backup": backup.id + (" (pinned)" if backup.pinned else ""),
        "label": backup.label or "",
        "made": f"{format_instant(backup.created_at)},"
        f" {format_age((now - backup.created_at).total_seconds())},"
        f" in {format_duration(backup.duration_s)}, by stockctl {backup.stockctl}",
        "database": f"{backup.database} on PostgreSQL {backup.server_version},"
        f" {format_size(backup.database_bytes)}",
        "schema": backup.schema_head or "",
        "stored": f"{format_size(backup.size_bytes)} in {store.describe()}/{backup.object}",
        "sha256": backup.sha256,
        "opens with": keys,
        "verified": told(checks, now) + (f": {checks.failed}" if checks.failed else ""),
        "restored in": _drilled(checks),
        "extensions": ", ".join(f"{e} {version}" for e, version, _schema in backup.extensions),
        "roles": ", ".join(role.name for role in backup.globals.roles) if backup.globals else "",
        "rows": f"{backup.rows} in {backup.tables} tables",
    }
    for label, value in facts.items():
        if value:
            session.output.line(f"{label:<12} {value}")
    for table, rows in sorted(backup.fingerprint, key=lambda each: -each[1]):
        session.output.line(f"  {rows:>12}  {table}")
    data = data_of(backup, opened, checks) | {"fingerprint": dict(backup.fingerprint)}
    return Result({"backup": data})


def _drilled(checks: Checks) -> str:
    if checks.restore_s is None:
        return ""
    on = f", drilled on {checks.drilled_on}" if checks.drilled_on else ""
    return format_duration(checks.restore_s) + on


@verb(
    app,
    "pin",
    example="stockctl backup pin prod --backup 20261122T030000Z-1f2e",
    exits=(3, 5, 6, 8),
)
def pin(session: Session, name: str, which: Id = "latest", plan: Plan = False) -> Result:
    """Keeps a backup for good: prune never removes it."""
    return _set(session, name, which, plan, pinned=True)


@verb(
    app,
    "unpin",
    example="stockctl backup unpin prod --backup 20261122T030000Z-1f2e",
    exits=(3, 5, 6, 8),
)
def unpin(session: Session, name: str, which: Id = "latest", plan: Plan = False) -> Result:
    """Leaves it to the rules of `backup.keep` again."""
    return _set(session, name, which, plan, pinned=False)


def _set(session: Session, name: str, which: str, plan: bool, *, pinned: bool) -> Result:
    from stockctl.backup.checks import read_checks
    from stockctl.backup.pin import set_pinned

    opened = open_environment(session, name, needs=BACKUP, changes=True)
    store = opened.store()
    chosen = choose_backup(opened, store, which)
    if plan:
        was, coming = ("pinned" if each else "not pinned" for each in (chosen.pinned, pinned))
        session.output.line(f"{chosen.id} is {was}, and would be {coming}")
        return Result({"planned": {"id": chosen.id, "pinned": pinned, "was_pinned": chosen.pinned}})
    word = "backup pin" if pinned else "backup unpin"
    with opened.journal.operation(f"{word} {chosen.id}"):
        backup = set_pinned(
            chosen,
            store,
            pinned=pinned,
            host=opened.host,
            directory=opened.directory,
            lock_holder=opened.journal.holder(word),
        )
    session.output.line(f"{backup.id} is {'pinned' if pinned else 'not pinned'}", style="green")
    return Result({"backup": data_of(backup, opened, read_checks(store, backup))})
