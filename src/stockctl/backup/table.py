"""`stockctl backup restore --table`: one table comes back beside the live one, under another name.

It takes the way of every restore into a scratch database, since only there its types and the
functions in its defaults can be had; then its rows are copied over, in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockctl.backup import preflight
from stockctl.backup.archive_head import Entry
from stockctl.backup.catalog import require_there
from stockctl.backup.create import locked
from stockctl.backup.fill import Source, restore_only
from stockctl.backup.fingerprint import table_name
from stockctl.backup.key import require_key
from stockctl.backup.manifest import Backup
from stockctl.backup.privileges import give_table
from stockctl.backup.properties import describe
from stockctl.backup.remnants import table_note
from stockctl.backup.restore import source_of
from stockctl.backup.restorer import choose_restorer
from stockctl.backup.room import Share, require_room, table_share
from stockctl.backup.stores.base import Store
from stockctl.backup.swap import Mark, create_copy, free_name, maintenance, recover
from stockctl.backup.way import Way
from stockctl.core.clock import Clock
from stockctl.core.errors import BackupInvalid, Refused, UsageError
from stockctl.core.progress import Progress
from stockctl.system.host import Holder, Host
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

_NAME_BYTES = 63
# Data only: keys, indexes, defaults and triggers stay with the live one, which is not touched.
_COLUMNS = """
SELECT string_agg(format('%%I %%s', attname, format_type(atttypid, atttypmod)), ', '
                  ORDER BY attnum),
       string_agg(quote_ident(attname), ', ' ORDER BY attnum)
FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True, slots=True)
class TableBack:
    """`table` as the backup calls it; `restored` is what it is called now."""

    backup_id: str
    table: str
    restored: str
    rows: int


def choose_table(backup: Backup, wanted: str) -> str:
    """The one of the backup's tables that is meant: `schema.name`, or a name that only one has.
    Raises UsageError."""
    names = [name for name, _rows in backup.fingerprint]
    if wanted in names:
        return wanted
    same = [name for name in names if name.endswith(f".{wanted}")]
    if len(same) == 1:
        return same[0]
    if same:
        raise UsageError(f"--table {wanted}: which one? {', '.join(sorted(same))}")
    raise UsageError(
        f"backup {backup.id} has no table {wanted}",
        hint=f"What is in it: stockctl backup show {backup.environment} --backup {backup.id}",
    )


def plan_table(backup: Backup, table: str, database: Database, *, host: Host) -> tuple[Share, ...]:
    """What will be written where. Raises Refused where it does not fit, DatabaseUnreachable."""
    with maintenance(database) as connection, database.connect() as inside:
        like = describe(connection, database.dsn.database)
        rows = table_share(connection, inside, backup, table, database, host, like.tablespace)
    require_room((rows,))
    return (rows,)


def restore_table(
    backup: Backup,
    table: str,
    database: Database,
    store: Store,
    *,
    identity_file: Path | None,
    host: Host,
    directory: Path,
    lock_holder: Holder,
    progress: Progress,
    clock: Clock,
) -> TableBack:
    """`table` is from `choose_table`. The live table stays as it is; whatever fails, there is no
    new one. Raises what a restore raises."""
    identities = require_key(backup, identity_file)
    with locked(store, backup.environment, host, directory, lock_holder):
        require_there(store, backup)
        recover(database, progress)
        with maintenance(database) as connection:
            preflight.require_server(connection, backup)
            database = preflight.with_tools(connection, database, host)
        plan_table(backup, table, database, host=host)
        # What the others have in it only passes by, and that it can while it is decoded.
        with source_of(backup, store, identities, Way(1), database, host, progress) as source:
            preflight.require_no_superuser(source.contents, rows_only=True)
            try:
                scratch, entry = _fill(table, database, source, host, progress, clock)
                with progress.step("copy") as step:
                    note = table_note(backup.id, clock.now())
                    done = _copy(source, entry, scratch, database, progress, note)
                    step.detail = f"{done.rows} rows into {done.restored}"
            finally:
                recover(database, progress, quiet=True)
    return done


def _fill(
    table: str,
    database: Database,
    source: Source,
    host: Host,
    progress: Progress,
    clock: Clock,
) -> tuple[Database, Entry]:
    """A scratch database with every table, of which only this one has rows."""
    (entry,) = (
        each
        for each in source.contents.of_kind("TABLE DATA")
        if table_name(each.schema, each.name) == table
    )
    name = database.dsn.database
    with progress.step("create"), maintenance(database) as connection:
        like = describe(connection, name)
        worker = choose_restorer(connection, database, like.owner, trusted=False)
        scratch = free_name(connection, name, "restore", clock.now())
        mark = Mark("restoring", name, source.backup.id)
        create_copy(connection, scratch, replace(like, owner=worker.name), mark)
    restore_only(database.to(scratch), worker, source, entry, host=host, progress=progress)
    return database.to(scratch), entry


def _copy(
    source: Source, entry: Entry, scratch: Database, live: Database, progress: Progress, note: str
) -> TableBack:
    """`note` becomes the comment of the new table, by which `backup tidy` knows it."""
    from psycopg import sql

    backup, table = source.backup, table_name(entry.schema, entry.name)
    old = sql.Identifier(entry.schema, entry.name)
    with scratch.connect() as filled, live.connect() as target, errors(f"copy {table}"):
        row = filled.execute(_COLUMNS, (old.as_string(filled),)).fetchone()
        definitions, columns = row if row else (None, None)
        with target.transaction():
            new = _free(target, entry)
            made = sql.Identifier(entry.schema, new)
            target.execute(sql.SQL("CREATE TABLE {} ({})").format(made, sql.SQL(definitions or "")))
            target.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(made, sql.Literal(note)))
            _stream(filled, target, old, made, columns or "")
            give_table(target, source.contents, entry, new, _owner(target), progress)
            count = target.execute(sql.SQL("SELECT count(*) FROM {}").format(made)).fetchone()
            expected = dict(backup.fingerprint)[table]
            if count is None or count[0] != expected:
                raise BackupInvalid(f"backup {backup.id}: {table} has not its {expected} rows")
    return TableBack(backup.id, table, table_name(entry.schema, new), expected)


def _stream(
    source: Connection[Any], target: Connection[Any], old: Any, new: Any, columns: str
) -> None:
    from psycopg import sql

    out = sql.SQL("COPY (SELECT {} FROM ONLY {}) TO STDOUT").format(sql.SQL(columns), old)
    with (
        source.cursor().copy(out) as rows,
        target.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(new)) as taken,
    ):
        for block in rows:
            taken.write(block)


def _free(target: Connection[Any], entry: Entry) -> str:
    """`name_restored`, numbered when it is taken."""
    for number in range(1, 1000):
        tail = "_restored" + ("" if number == 1 else f"_{number}")
        room = _NAME_BYTES - len(tail)
        name = entry.name.encode()[:room].decode(errors="ignore") + tail
        found = target.execute(
            "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = %s AND relname = %s",
            (entry.schema, name),
        ).fetchone()
        if found is None:
            return name
    raise Refused(f"there are a thousand restored copies of {entry.name} already")


def _owner(target: Connection[Any]) -> str:
    row = target.execute(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return str(row[0])
