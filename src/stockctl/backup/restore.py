"""`stockctl backup restore`: into a new database beside the live one, then into its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockctl.backup import preflight
from stockctl.backup.catalog import require_there
from stockctl.backup.create import locked
from stockctl.backup.dump import decoded
from stockctl.backup.fill import Source, fill
from stockctl.backup.globals import create_roles
from stockctl.backup.key import require_key
from stockctl.backup.manifest import Backup
from stockctl.backup.privileges import give_back
from stockctl.backup.properties import Properties, carry_over, describe
from stockctl.backup.put_back import put_back
from stockctl.backup.restore_plan import RestorePlan, from_manifest, refuse_prepared
from stockctl.backup.restorer import Restorer, choose_restorer, hand_over
from stockctl.backup.stores.base import Store
from stockctl.backup.stream import opened
from stockctl.backup.swap import (
    Mark,
    create_copy,
    maintenance,
    put_in_place,
    recover,
    swap,
)
from stockctl.backup.way import Way
from stockctl.core.clock import Clock
from stockctl.core.progress import Progress
from stockctl.env.keys import Identities
from stockctl.system.host import Holder, Host
from stockctl.system.postgres import Database

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did; `outage_s` is how long nobody could enter the database."""

    backup_id: str
    database: str
    previous_database: str | None
    outage_s: float
    lost_window_s: float


def restore(
    plan: RestorePlan,
    database: Database,
    store: Store,
    *,
    identity_file: Path | None,
    host: Host,
    directory: Path,
    lock_holder: Holder,
    progress: Progress,
    clock: Clock,
) -> Restored:
    """Carries the plan out. Until the swap, and when anything fails, the live database is as it
    was. Raises BackupInvalid, Refused, Locked, ToolFailed, DatabaseFailed, ConfigurationError;
    PersonNeeded when the live database could not be opened again."""
    backup = plan.backup
    identities = require_key(backup, identity_file)
    with locked(store, backup.environment, host, directory, lock_holder):
        require_there(store, backup)
        recover(database, progress)
        for warning in plan.warnings:
            progress.warn(warning)
        with source_of(backup, store, identities, plan.way, database, host, progress) as source:
            if not plan.trusted:
                preflight.require_no_superuser(source.contents)
            try:
                outage_s = _replace(plan, database, source, host, progress, clock)
            except BaseException as error:
                put_back(plan, database, progress, error)
                raise
    return Restored(backup.id, plan.database, plan.previous_database, outage_s, plan.lost_window_s)


def _replace(
    plan: RestorePlan,
    database: Database,
    source: Source,
    host: Host,
    progress: Progress,
    clock: Clock,
) -> float:
    with maintenance(database) as connection:
        database = preflight.with_tools(connection, database, host)
        like, worker = _prepare(connection, plan, database, progress)
    copy = database.to(plan.new_database)
    fill(copy, worker, source, host=host, progress=progress)
    # A new one: what is idle for as long as a restore takes, a NAT may have dropped.
    with maintenance(database) as connection:
        with progress.step("carry over"):
            give_back(
                copy,
                worker,
                source.contents,
                like.owner,
                trusted=plan.trusted,
                progress=progress,
            )
            hand_over(connection, database, plan.new_database, worker, like.owner)
            carry_over(connection, like, plan.new_database)
        if plan.previous_database is None:
            put_in_place(connection, like, plan.new_database, clock)
            return 0.0
        return _swap(connection, plan, plan.previous_database, like, progress, clock)


@contextmanager
def source_of(
    backup: Backup,
    store: Store,
    identities: Identities | None,
    way: Way,
    database: Database,
    host: Host,
    progress: Progress,
) -> Iterator[Source]:
    """All of the backup was read and is right when this yields; where it is streamed, when its
    blocks have come to their end. Raises BackupInvalid, ToolFailed."""
    with ExitStack() as stack:
        with progress.step("check") as step:
            if way.folder is None:
                stream = stack.enter_context(opened(backup, store, identities))
                step.detail = "its table of contents; the rest while it is restored"
                source = Source(backup, stream.contents, stream, jobs=way.jobs)
            else:
                tools, folder = database.tools, way.folder
                dump = decoded(backup, store, identities, folder, tools, host, step)
                ready = stack.enter_context(dump)
                source = Source(backup, ready.contents, ready, jobs=way.jobs)
        yield source


def _prepare(
    connection: Connection[Any], plan: RestorePlan, database: Database, progress: Progress
) -> tuple[Properties, Restorer]:
    with progress.step("create") as step:
        if plan.previous_database is None:
            like = from_manifest(plan.backup, plan.database)
            create_roles(connection, plan.roles)
            step.detail = f"{len(plan.roles)} roles, database {plan.database}"
        else:
            like = describe(connection, plan.database)
        refuse_prepared(connection, plan.database)
        worker = choose_restorer(connection, database, like.owner, trusted=plan.trusted)
        mark = Mark("restoring", plan.database, plan.backup.id)
        create_copy(connection, plan.new_database, replace(like, owner=worker.name), mark)
    return like, worker


def _swap(
    connection: Connection[Any],
    plan: RestorePlan,
    keep_as: str,
    live: Properties,
    progress: Progress,
    clock: Clock,
) -> float:
    with progress.step("swap") as step:
        refuse_prepared(connection, plan.database)  # again: the restore may have taken hours
        return swap(
            connection,
            live,
            plan.new_database,
            keep_as,
            Mark("restoring", plan.database, plan.backup.id, closed=live.allows_connections),
            clock=clock,
            on_closed=lambda: step.line(f"{plan.database} is closed to connections"),
        )
