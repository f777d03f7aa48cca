"""`stockctl backup create`: one stream from pg_dump into the store; the manifest is the commit."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from stockctl import __version__
from stockctl.backup import codec
from stockctl.backup.catalog import orphans, point_at
from stockctl.backup.checks import Checks, checks_name, write_checks
from stockctl.backup.clients import matching
from stockctl.backup.describe import Description, beside, described
from stockctl.backup.emptied import emptied
from stockctl.backup.fingerprint import LOCK_WAIT, Snapshot, lock_tables, snapshot
from stockctl.backup.manifest import Backup, new_id, parse_name
from stockctl.backup.room import backup_share, last_backup, require_room
from stockctl.backup.stores.base import Store
from stockctl.backup.swap import recover
from stockctl.backup.verify import check_bytes
from stockctl.core.clock import Clock
from stockctl.core.errors import ConfigurationError, StockctlError, StoreFailed
from stockctl.core.progress import Progress
from stockctl.core.units import format_size
from stockctl.env.keys import load_recipients
from stockctl.system.host import Holder, Host
from stockctl.system.postgres import Database

LOCK_FILE = "backup.lock"
_ANY_ID = new_id(datetime(2000, 1, 1, tzinfo=UTC), "0000")


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What a backup is made with. `compression` is a zstd level, `recipients` are public keys."""

    environment: str
    lock_holder: Holder
    label: str | None = None
    pinned: bool = False
    compression: int = 1
    recipients: tuple[str, ...] = ()
    schema_head: str | None = None
    hash_content: bool = False


def create(
    database: Database,
    store: Store,
    options: CreateOptions,
    *,
    host: Host,
    directory: Path,
    progress: Progress,
    clock: Clock,
) -> Backup:
    """Makes a backup and returns it once it is verified and listed.

    Whatever happens before that leaves nothing that is listed. Raises Locked, Refused where by the
    last one it will not fit, ToolFailed, StoreFailed, DatabaseFailed, ConfigurationError.
    """
    load_recipients(options.recipients)  # before anything is begun
    _require_name(options.environment)
    with locked(store, options.environment, host, directory, options.lock_holder):
        _tidy(database, store, options.environment, progress)
        began_s = clock.monotonic()
        before = last_backup(store, options.environment, database.dsn.database)
        with snapshot(database) as taken:
            sizes = (taken.database_bytes, taken.table_bytes)
            require_room((backup_share(store, "the backup", before, *sizes),))
            draft = _draft(options, database, taken, store, clock.now())
            database = matching(host, database, "pg_dump", taken.major)
            with progress.step("snapshot") as step:
                step.detail = f"{lock_tables(taken.connection)} tables"
            with _all_or_nothing(store, draft):
                backup = _saved(database, store, draft, taken, host, progress, options)
                taken.connection.close()
                with progress.step("verify"):
                    check_bytes(backup, store)
                backup = replace(backup, duration_s=round(clock.monotonic() - began_s, 3))
                write_checks(store, backup, Checks().passed(clock.now(), "bytes"))
                store.put(backup.manifest, backup.to_json())
        _point(store, backup, progress)
    if said := emptied(store, backup):
        progress.warn(said)
    return backup


def _point(store: Store, backup: Backup, progress: Progress) -> None:
    """It is a backup already; one that cannot be pointed at is one all the same."""
    try:
        point_at(store, backup.environment, backup.object)
    except StoreFailed as error:
        progress.warn(f"latest still points at an earlier one: {error}")


@contextmanager
def locked(
    store: Store, environment: str, host: Host, directory: Path, holder: Holder
) -> Iterator[None]:
    """Alone with the database and with the store, which others may share. Always in this order,
    so that two never wait for each other. Raises Locked."""
    with host.lock(directory / LOCK_FILE, holder), store.lock(environment, holder):
        yield


def _tidy(database: Database, store: Store, environment: str, progress: Progress) -> None:
    """Puts right what a `kill -9` of an earlier run may have left. We hold the lock."""
    try:
        recover(database, progress)
    except StockctlError as error:  # a role that may only dump need not be able to do this
        progress.warn(f"could not look for what an interrupted restore left: {error}")
    for name in store.sweep(f"{environment}."):
        progress.say(f"removed an unfinished {name}")
    for name in orphans(store, environment):
        store.delete(name)
        progress.say(f"removed {name}, which belongs to no manifest")


def _draft(
    options: CreateOptions, database: Database, taken: Snapshot, store: Store, now: datetime
) -> Backup:
    return Backup(
        id=_unused_id(store, options.environment, now),
        environment=options.environment,
        created_at=now.replace(microsecond=0),
        size_bytes=0,
        database_bytes=taken.database_bytes,
        duration_s=0.0,
        sha256="",
        recipients=options.recipients,
        compression=options.compression,
        database=database.dsn.database,
        server_version=taken.server_version,
        schema_head=options.schema_head,
        fingerprint=(),
        label=options.label,
        pinned=options.pinned,
        stockctl=__version__,
    )


def _require_name(environment: str) -> None:
    if parse_name(f"{environment}.{_ANY_ID}.json", environment) is None:
        raise ConfigurationError(
            f"{environment!r} cannot name backups",
            hint="Letters, digits, dashes and underscores; at most 63.",
        )


def _unused_id(store: Store, environment: str, now: datetime) -> str:
    """Sorts after all that were made in the same second, or `latest` could be the earlier one."""
    second = f"{environment}.{new_id(now, '')}"
    made = [name.removeprefix(second)[:4] for name in store.names() if name.startswith(second)]
    free = int(max(made, default="-1"), 16) + 1
    return new_id(now, f"{free + secrets.randbelow((0x10000 - free) // 2):04x}")


def _saved(
    database: Database,
    store: Store,
    draft: Backup,
    taken: Snapshot,
    host: Host,
    progress: Progress,
    options: CreateOptions,
) -> Backup:
    """The dump is in the store; beside it the server has counted. With what came of both."""

    def describe() -> Description:
        return described(taken.connection, draft.database, hash_content=options.hash_content)

    with beside(taken.connection, describe) as counted:
        stored = _dump(database, store, draft, taken, host, progress, counted)
        with progress.step("count") as step:
            found = counted.result()
            step.detail = f"{found.rows} rows"
    return replace(
        draft,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        dump_bytes=stored.dump_bytes,
        fingerprint=found.fingerprint,
        content=found.content,
        extensions=found.extensions,
        globals=found.globals,
    )


def _dump(
    database: Database,
    store: Store,
    draft: Backup,
    taken: Snapshot,
    host: Host,
    progress: Progress,
    counted: Future[Description],
) -> codec.Stored:
    """pg_dump's exit code is known before the object gets its name: half a dump is never one."""
    arguments = ("-Fc", "-Z0", f"--snapshot={taken.name}", "--no-sync")
    wait = f"--lock-wait-timeout={LOCK_WAIT}"

    def moved(done: int) -> None:
        step.transferred(done, taken.table_bytes)
        if counted.done():
            counted.result()  # rows that cannot be counted end the dump, too

    with (
        progress.step("dump") as step,
        store.open_writer(draft.object, draft.database_bytes) as writer,
        database.tools.command("pg_dump", *arguments, wait, dsn=database.dsn) as command,
        host.stream(command) as child,
    ):
        stored = codec.encode(
            child.stdout,
            writer,
            level=draft.compression,
            recipients=draft.recipients,
            on_bytes=moved,
        )
        child.check()
        writer.commit()
        step.detail = f"{format_size(stored.size_bytes)} in {store.describe()}"
    return stored


@contextmanager
def _all_or_nothing(store: Store, draft: Backup) -> Iterator[None]:
    """Takes the object away again when the block fails; the manifest first, should it be there."""
    try:
        yield
    except BaseException as error:
        try:
            for name in (draft.manifest, checks_name(draft), draft.object):
                store.delete(name)
        except StockctlError as unremoved:
            error.add_note(str(unremoved))  # the next create sweeps it
        raise
