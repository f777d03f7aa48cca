"""`stockctl backup`: create · list · restore · prune."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.guard import Confirm, Plan, SkipBackup, Yes, confirm
from stockctl.cli.output import Row
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import group, verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.errors import BackupInvalid, UsageError
from stockctl.core.units import format_age, format_duration, format_instant, format_size
from stockctl.env.needs import BACKUP

if TYPE_CHECKING:
    from stockctl.backup.catalog import Catalogue
    from stockctl.backup.manifest import Backup
    from stockctl.backup.restore import Restored, RestorePlan
    from stockctl.backup.retention import Policy, PrunePlan
    from stockctl.backup.stores.base import Store
    from stockctl.env.model import BackupSettings

app = group("Backups that are verified, and restores that can be trusted.")


@verb(
    app,
    "create",
    example='stockctl backup create prod --label "before the move"',
    exits=(3, 5, 6, 7, 8),
)
def create(
    session: Session,
    name: str,
    label: Annotated[str | None, typer.Option("--label", help="What it is for.")] = None,
    pin: Annotated[bool, typer.Option("--pin", help="Never pruned.")] = False,
) -> Result:
    """Makes a backup, reads it back, and lists it only then.

    One snapshot, one stream: pg_dump, zstd, age where recipients are set, sha256. For cron: `-q`.
    """
    from stockctl.deploy.safety import back_up

    if label is not None and not label.isprintable():  # also what is not UTF-8 on the command line
        raise UsageError("--label holds characters that cannot be printed")
    opened = open_environment(session, name, needs=BACKUP, changes=True)
    with opened.database() as database, opened.journal.operation("backup create"):
        backup = back_up(
            opened.environment,
            database,
            opened.store(),
            opened.journal,
            session.progress(),
            label=label,
            pinned=pin,
        )
    session.output.line(
        f"{backup.id}  {format_size(backup.size_bytes)}  {backup.tables} tables,"
        f" {backup.rows} rows, in {format_duration(backup.duration_s)}"
    )
    return Result({"backup": _data(backup, opened)})


@verb(app, "list", example="stockctl backup list prod", exits=(3, 6))
def list_backups(session: Session, name: str) -> Result:
    """Shows the backups of an environment, newest first, and what in the store is not one."""
    from stockctl.backup.catalog import list_backups

    opened = open_environment(session, name, needs=BACKUP)
    catalogue = list_backups(opened.store(), name)
    now = session.clock.now()
    rows = [
        Row(
            (
                backup.id,
                format_age((now - backup.created_at).total_seconds()),
                format_size(backup.size_bytes),
                str(backup.rows),
                backup.schema_head or "",
                "yes" if backup.encrypted else "no",
                " ".join(filter(None, ("pinned" * backup.pinned, backup.label))),
            )
        )
        for backup in catalogue.backups
    ]
    columns = ("BACKUP", "AGE", "SIZE", "ROWS", "SCHEMA", "ENCRYPTED", "")
    session.output.table(
        columns,
        rows,
        f"no backups in {opened.environment.backup.store}: stockctl backup create {name}",
    )
    _warn_of_invalid(session, catalogue)
    invalid = [{"name": broken, "reason": reason} for broken, reason in catalogue.invalid]
    return Result({"backups": [_data(b, opened) for b in catalogue.backups], "invalid": invalid})


@verb(
    app,
    "restore",
    example="stockctl backup restore staging --backup latest --plan",
    exits=(3, 4, 5, 6, 7, 8, 11),
)
def restore(
    session: Session,
    name: str,
    which: Annotated[
        str, typer.Option("--backup", metavar="ID", help="An id of backup list, or latest.")
    ] = "latest",
    plan: Plan = False,
    skip_backup: SkipBackup = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Restores into a new database beside the live one and swaps the two by name.

    The service is away for the swap only. What was live is kept under another name; until the
    swap, and whenever something fails, it stays as it was.
    """
    from stockctl.backup.restore import plan_restore, require_key
    from stockctl.deploy.safety import restore_over

    opened = open_environment(session, name, changes=True)
    store = opened.store()
    backup = _choose(session, store, name, which)
    require_key(backup, opened.environment.backup.identity_file)
    with opened.database() as database:
        todo = plan_restore(backup, database, session.clock.now())
        _show_restore_plan(session, todo, safety=not skip_backup)
        if plan:
            return Result({"planned": {"backup": backup.id, "lost_window_s": todo.lost_window_s}})
        what = f"replace the database {todo.database} by {backup.id}"
        protected = opened.environment.protected
        confirm(session, name, what, protected=protected, given=given, yes=yes)
        done = restore_over(
            opened.environment,
            todo,
            database,
            store,
            opened.journal,
            session.progress(),
            backup_first=not skip_backup,
        )
    _show_restored(session, done)
    return Result({"restored": _restored_data(done)})


@verb(app, "prune", example="stockctl backup prune prod --plan", exits=(3, 4, 5, 6))
def prune(
    session: Session, name: str, plan: Plan = False, given: Confirm = None, yes: Yes = False
) -> Result:
    """Removes the backups that no rule of `backup.keep` wants, each with its reason.

    The newest good one and pinned ones always stay.
    """
    from stockctl.backup.catalog import list_backups
    from stockctl.backup.retention import plan_prune, prune

    opened = open_environment(session, name, changes=True)
    store, settings = opened.store(), opened.environment.backup
    backups = list_backups(store, name).backups
    todo = plan_prune(backups, _policy(settings), session.clock.now())
    _show_prune_plan(session, todo)
    data = {
        "keep": [{"id": k.backup.id, "reason": "; ".join(k.reasons)} for k in todo.keep],
        "remove": [{"id": d.backup.id, "reason": d.reason} for d in todo.remove],
    }
    if plan or not todo.remove:
        return Result({**data, "removed": []})
    what = f"remove {len(todo.remove)} backups of {name}"
    protected = opened.environment.protected
    confirm(session, name, what, protected=protected, given=given, yes=yes)
    with opened.journal.operation("backup prune"):
        gone = prune(
            todo,
            store,
            host=opened.host,
            directory=opened.directory,
            lock_holder=opened.journal.holder("backup prune"),
            progress=session.progress(),
        )
    session.output.line(f"{len(gone)} removed, {len(todo.keep)} kept", style="green")
    return Result({**data, "removed": [drop.backup.id for drop in gone]})


def _choose(session: Session, store: Store, name: str, which: str) -> Backup:
    from stockctl.backup.catalog import LATEST, choose, list_backups

    catalogue = list_backups(store, name)
    _warn_of_invalid(session, catalogue)
    backup = choose(catalogue, which)
    if which == LATEST and any(broken > backup.manifest for broken, _ in catalogue.invalid):
        raise BackupInvalid(
            f"the newest backup is not valid, {backup.id} is the newest that is",
            hint=f"To take that one: --backup {backup.id}",
        )
    return backup


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


def _warn_of_invalid(session: Session, catalogue: Catalogue) -> None:
    progress = session.progress()
    for broken, reason in catalogue.invalid:
        progress.warn(f"not a backup: {broken}: {reason}")


def _data(backup: Backup, opened: Opened) -> dict[str, Any]:
    return {
        "id": backup.id,
        "created_at": format_instant(backup.created_at),
        "size_bytes": backup.size_bytes,
        "database_bytes": backup.database_bytes,
        "duration_s": backup.duration_s,
        "sha256": backup.sha256,
        "encrypted": backup.encrypted,
        "schema_head": backup.schema_head,
        "tables": backup.tables,
        "rows": backup.rows,
        "store": opened.environment.backup.store,
        "label": backup.label,
        "pinned": backup.pinned,
        "verified_at": None,  # by the verb `backup verify`, which is not there yet
        "drilled_at": None,
    }


def _show_restore_plan(session: Session, todo: RestorePlan, *, safety: bool) -> None:
    backup, note = todo.backup, session.output.note
    age = format_duration(max(todo.lost_window_s, 0))
    label = f" ({backup.label})" if backup.label else ""
    note(f"restore   {backup.id}{label}: {backup.tables} tables, {backup.rows} rows")
    live = "nobody can enter it" if todo.live_rows is None else f"{todo.live_rows} rows"
    note(f"replaces  {todo.database}: {live}, {format_size(todo.live_bytes)}")
    note(f"lost      what was written in the last {age}; it stays in {todo.previous_database}")
    for warning in todo.warnings:
        note(f"careful   {warning}", style="yellow")
    note("before    a safety backup" if safety else "before    no safety backup")
    for name in todo.kept_before:
        note(f"kept      {name} from an earlier restore still takes disk")


def _show_restored(session: Session, done: Restored) -> None:
    session.output.line(
        f"{done.database} is {done.backup_id} now; it was away for {done.outage_s * 1000:.0f} ms."
        f" What was live is kept as {done.previous_database}.",
        style="green",
    )


def _restored_data(done: Restored) -> dict[str, Any]:
    return {
        "id": done.backup_id,
        "database": done.database,
        "previous_database": done.previous_database,
        "outage_s": round(done.outage_s, 3),
        "lost_window_s": round(done.lost_window_s, 1),
    }


def _show_prune_plan(session: Session, todo: PrunePlan) -> None:
    rows = [Row((k.backup.id, "keep", "; ".join(k.reasons))) for k in todo.keep]
    rows += [Row((d.backup.id, "remove", d.reason), "yellow") for d in todo.remove]
    session.output.table(("BACKUP", "", "WHY"), rows, "no backups")
