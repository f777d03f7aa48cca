"""`stockctl backup restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.backup import app
from stockctl.cli.backup_view import choose_backup
from stockctl.cli.guard import Confirm, Plan, SkipBackup, Yes, confirm
from stockctl.cli.restore_view import planned, show_restore_plan, show_room
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.errors import UsageError

if TYPE_CHECKING:
    from stockctl.backup.archive import Contents
    from stockctl.backup.manifest import Backup
    from stockctl.backup.restore import Restored
    from stockctl.backup.restore_plan import RestoreOptions, RestorePlan
    from stockctl.backup.stores.base import Store

Which = Annotated[
    str, typer.Option("--backup", metavar="ID|FILE", help="An id of backup list, latest, a file.")
]
Table = Annotated[
    str | None, typer.Option("--table", metavar="NAME", help="Only this one, beside the live one.")
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", metavar="N", min=1, help="At once; default: processors, at most 4."),
]
Trust = Annotated[
    bool, typer.Option("--trust-dump", help="As the owner, even where that is a superuser.")
]


@verb(
    app,
    "restore",
    example="stockctl backup restore staging --backup latest --plan",
    exits=(3, 4, 5, 6, 7, 8, 11),
)
def restore(
    session: Session,
    name: str,
    which: Which = "latest",
    table: Table = None,
    jobs: Jobs = None,
    trust: Trust = False,
    plan: Plan = False,
    skip_backup: SkipBackup = False,
    given: Confirm = None,
    yes: Yes = False,
) -> Result:
    """Restores into a new database beside the live one and swaps the two by name.

    The service is away for the swap only. What was live is kept under another name; until the
    swap, and whenever something fails, it stays as it was.

    --table brings the rows of one table back as NAME_restored, and touches nothing else.
    """
    from stockctl.backup.key import require_key
    from stockctl.backup.restore_plan import RestoreOptions
    from stockctl.backup.verify import peek

    if table is not None and (jobs or trust):
        raise UsageError(
            "--table brings the rows of one table back: by one job, as a role without power",
            hint="Leave --jobs and --trust-dump away.",
        )
    opened = open_environment(session, name, changes=True)
    source, backup = _chosen(opened, which)
    contents = peek(backup, source, require_key(backup, opened.environment.backup.identity_file))
    if table is not None:
        return _one_table(
            session, opened, source, backup, contents, table, plan=plan, given=given, yes=yes
        )
    options = RestoreOptions(jobs, trust)
    safety = not skip_backup
    return _whole(
        opened, source, backup, contents, options, plan=plan, safety=safety, given=given, yes=yes
    )


def _whole(
    opened: Opened,
    source: Store,
    backup: Backup,
    contents: Contents,
    options: RestoreOptions,
    *,
    plan: bool,
    safety: bool,
    given: str | None,
    yes: bool,
) -> Result:
    """Plans, shows, asks, and swaps the whole database."""
    from stockctl.backup.restore_plan import plan_restore
    from stockctl.deploy.safety import restore_over
    from stockctl.system.clients_here import client_host

    session = opened.session
    with opened.database() as database:
        todo = plan_restore(
            backup,
            database,
            opened.clock.now(),
            contents=contents,
            host=client_host(opened.host, database),
            directory=opened.directory,
            options=options,
            saved_into=opened.store() if safety else None,
        )
        show_restore_plan(session, todo, safety=safety)
        if plan:
            return Result({"planned": planned(todo)})
        _confirm(session, opened, todo, given, yes=yes)
        done = restore_over(
            opened.environment,
            todo,
            database,
            opened.store(),
            opened.journal,
            session.progress(),
            source=source,
            backup_first=safety and todo.previous_database is not None,
        )
    _show_restored(session, opened.environment.name, done)
    return Result({"restored": _restored_data(done)})


def _confirm(
    session: Session, opened: Opened, todo: RestorePlan, given: str | None, *, yes: bool
) -> None:
    word = "replace" if todo.previous_database else "create"
    what = f"{word} the database {todo.database} from {todo.backup.id}"
    environment = opened.environment
    confirm(session, environment.name, what, protected=environment.protected, given=given, yes=yes)


def _chosen(opened: Opened, which: str) -> tuple[Store, Backup]:
    from stockctl.backup.stores.file import is_file, open_file

    if is_file(which):
        source, backup = open_file(which)
        if backup.environment != opened.environment.name:
            opened.session.progress().warn(
                f"the backup is of {backup.environment}, and goes into {opened.environment.name}"
            )
        return source, backup
    store = opened.store()
    return store, choose_backup(opened, store, which)


def _one_table(
    session: Session,
    opened: Opened,
    source: Store,
    backup: Backup,
    contents: Contents,
    wanted: str,
    *,
    plan: bool,
    given: str | None,
    yes: bool,
) -> Result:
    from stockctl.backup.preflight import require_no_superuser
    from stockctl.backup.room import data_of
    from stockctl.backup.table import choose_table, plan_table
    from stockctl.deploy.safety import bring_table_back
    from stockctl.system.clients_here import client_host

    environment, table = opened.environment, choose_table(backup, wanted)
    require_no_superuser(contents, rows_only=True)
    rows = dict(backup.fingerprint)[table]
    session.output.note(f"restore   {table} of {backup.id}: {rows} rows, as {table}_restored")
    with opened.database() as database:
        room = plan_table(backup, table, database, host=client_host(opened.host, database))
        show_room(session, room)
        if plan:
            todo = {"backup": backup.id, "table": table, "rows": rows, "room": data_of(room)}
            return Result({"planned": todo})
        what, protected = f"add a table {table}_restored", environment.protected
        confirm(session, environment.name, what, protected=protected, given=given, yes=yes)
        done = bring_table_back(
            environment, backup, table, database, source, opened.journal, session.progress()
        )
    session.output.line(f"{done.restored} is there, with {done.rows} rows", style="green")
    data = {"id": done.backup_id, "table": done.table, "as": done.restored, "rows": done.rows}
    return Result({"restored": data})


def _show_restored(session: Session, name: str, done: Restored) -> None:
    if done.previous_database is None:
        said = f"{done.database} is there, from {done.backup_id}. Roles have no passwords yet:"
        session.output.line(f"{said} ALTER ROLE … PASSWORD for those that log in.", style="green")
        return
    session.output.line(
        f"{done.database} is {done.backup_id} now; it was away for {done.outage_s * 1000:.0f} ms."
        f" What was live is kept as {done.previous_database}.",
        style="green",
    )
    session.output.note(f"→ to bring it back: stockctl backup undo {name}", style="cyan")


def _restored_data(done: Restored) -> dict[str, Any]:
    return {
        "id": done.backup_id,
        "database": done.database,
        "previous_database": done.previous_database,
        "outage_s": round(done.outage_s, 3),
        "lost_window_s": round(done.lost_window_s, 1),
    }
