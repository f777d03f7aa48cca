"""`stockctl backup verify --drill`: restored for real, into a database that nobody uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from stockctl.backup import preflight
from stockctl.backup.fill import Source, fill
from stockctl.backup.manifest import Backup
from stockctl.backup.properties import Properties, describe
from stockctl.backup.restore import source_of
from stockctl.backup.restorer import Restorer, choose_restorer
from stockctl.backup.room import copy_share, require_room
from stockctl.backup.stores.base import Store
from stockctl.backup.swap import Mark, create_copy, free_name, maintenance, recover
from stockctl.backup.way import Way, choose_way
from stockctl.core.clock import Clock
from stockctl.core.errors import Refused
from stockctl.core.progress import Progress
from stockctl.core.units import counted, format_duration
from stockctl.env.keys import Identities
from stockctl.system.host import Host
from stockctl.system.postgres import Database

_C_UTF8 = (("LC_COLLATE", "C"), ("LC_CTYPE", "C"))


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where to restore to. `database` names the server, and whose copies are swept there; `own`
    says that the server is the embedded one and not where the backup comes from."""

    database: Database
    own: bool


def drill(
    backup: Backup,
    store: Store,
    identities: Identities | None,
    scratch: Scratch,
    *,
    host: Host,
    directory: Path,
    progress: Progress,
    clock: Clock,
) -> Drilled:
    """The copy is gone then. Raises BackupInvalid when it has not the rows of the manifest,
    Refused where this server cannot hold it, and what a restore raises."""
    with restored(
        backup,
        store,
        identities,
        scratch,
        host=host,
        directory=directory,
        progress=progress,
        clock=clock,
    ) as (_copy, drilled):
        pass
    progress.say(f"restored in {format_duration(drilled.restore_s)}, dropped again")
    return drilled


@dataclass(frozen=True, slots=True)
class Drilled:
    """`restore_s`: from the first byte that is read to a database that could serve. `on`: by what
    it was restored, for a person."""

    restore_s: float
    on: str


@contextmanager
def restored(
    backup: Backup,
    store: Store,
    identities: Identities | None,
    scratch: Scratch,
    *,
    host: Host,
    directory: Path,
    progress: Progress,
    clock: Clock,
) -> Iterator[tuple[Database, Drilled]]:
    """The copy, for as long as the block runs, and what it took. Raises as `drill`."""
    recover(scratch.database, progress)
    scratch, way, on = _fitting(backup, scratch, host, directory)
    began_s = clock.monotonic()
    with source_of(backup, store, identities, way, scratch.database, host, progress) as source:
        try:
            name, worker = _create(backup, source, scratch, clock.now(), progress)
            copy = scratch.database.to(name)
            fill(copy, worker, source, host=host, progress=progress)
            took_s = round(clock.monotonic() - began_s, 3)
            yield copy, Drilled(took_s, on)
        finally:
            recover(scratch.database, progress, quiet=True)


def _fitting(
    backup: Backup, scratch: Scratch, host: Host, directory: Path
) -> tuple[Scratch, Way, str]:
    """With tools, by which way, and what that is for a person."""
    try:
        with maintenance(scratch.database) as connection:
            preflight.require_server(connection, backup)
            database = preflight.with_tools(connection, scratch.database, host)
            copy = copy_share(connection, backup, scratch.database, host)
            require_room((copy,))
            way = choose_way(backup, database, host, directory, copy)
            whose = "an embedded" if scratch.own else "the environment's own"
            major = connection.info.server_version // 10000
            on = f"{whose} PostgreSQL {major}, {counted(way.jobs, 'job')}"
            return replace(scratch, database=database), way, on
    except Refused as error:
        if scratch.own:
            error.hint = "Drill on the environment's own server instead: --on-server."
        raise


def _create(
    backup: Backup, source: Source, scratch: Scratch, now: datetime, progress: Progress
) -> tuple[str, Restorer]:
    home = scratch.database.dsn.database
    with progress.step("create"), maintenance(scratch.database) as connection:
        like = _like(backup, describe(connection, home), own=scratch.own)
        worker = choose_restorer(connection, scratch.database, like.owner, trusted=False)
        if worker.own:
            preflight.require_no_superuser(source.contents)
        name = free_name(connection, home, "restore", now)
        mark = Mark("restoring", home, backup.id)
        create_copy(connection, name, replace(like, owner=worker.name), mark)
    return name, worker


def _like(backup: Backup, home: Properties, *, own: bool) -> Properties:
    """On the embedded server only the encoding is kept: it has not everybody's locales."""
    if not own:
        return home
    encoding = backup.globals.database.encoding if backup.globals else home.encoding
    return replace(home, encoding=encoding, locale=_C_UTF8)
