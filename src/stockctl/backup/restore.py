"""`stockctl backup restore`: into a new database beside the live one, then into its place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockctl.backup.clients import require_client
from stockctl.backup.create import locked
from stockctl.backup.fill import fill
from stockctl.backup.fingerprint import fingerprint
from stockctl.backup.manifest import Backup
from stockctl.backup.properties import Properties, carry_over, describe
from stockctl.backup.put_back import put_back
from stockctl.backup.stores.base import Store
from stockctl.backup.swap import Mark, create_copy, free_name, kept, maintenance, recover, swap
from stockctl.backup.verify import check, require_identities
from stockctl.core.clock import Clock
from stockctl.core.errors import Refused
from stockctl.core.progress import Progress
from stockctl.env.keys import Identities, load_identities
from stockctl.system.host import Holder, Host
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

# What `--no-owner --no-acl` drops.
_SHARED = """
SELECT c.oid::regclass::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_database d ON d.datname = current_database()
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND (c.relowner <> d.datdba
       OR EXISTS (SELECT FROM aclexplode(c.relacl) WHERE grantee <> c.relowner))
ORDER BY 1
"""
_SLOTS = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do, and what it would lose.

    `lost_window_s`: what was written in the seconds since the backup's snapshot is only in the
    kept database afterwards. `live_rows` is None when the live database lets nobody in.
    `kept_before` are the replaced databases of earlier restores; they take disk, nothing else.
    `warnings` name what the live database has and the restored one will lack.
    """

    backup: Backup
    database: str
    new_database: str
    previous_database: str
    lost_window_s: float
    live_rows: int | None
    live_bytes: int
    kept_before: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did; `outage_s` is how long nobody could enter the database."""

    backup_id: str
    database: str
    previous_database: str
    outage_s: float
    lost_window_s: float


def plan_restore(backup: Backup, database: Database, now: datetime) -> RestorePlan:
    """Looks, changes nothing. Raises Refused, DatabaseFailed, DatabaseUnreachable."""
    name = database.dsn.database
    with maintenance(database) as connection:
        live = describe(connection, name)
        _refuse_prepared(connection, name)
        with errors(f"measure {name}"):
            row = connection.execute("SELECT pg_database_size(%s::name)", (name,)).fetchone()
        rows, warnings = _inside(database) if live.allows_connections else (None, ())
        return RestorePlan(
            backup=backup,
            database=name,
            new_database=free_name(connection, name, "restore", now),
            previous_database=free_name(connection, name, "before", now),
            lost_window_s=(now - backup.created_at).total_seconds(),
            live_rows=rows,
            live_bytes=row[0] if row else 0,
            kept_before=kept(connection, name),
            warnings=warnings,
        )


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
        recover(database, progress)
        for warning in plan.warnings:
            progress.warn(warning)
        with progress.step("check"):
            check(backup, store, identities)
        try:
            with maintenance(database) as connection:
                live = _prepare(connection, plan, database, host, progress)
            copy = database.to(plan.new_database)
            fill(copy, live.owner, backup, store, identities, host=host, progress=progress)
            # A new one: what is idle for as long as a restore takes, a NAT may have dropped.
            with maintenance(database) as connection:
                with progress.step("carry over"):
                    carry_over(connection, live, plan.new_database)
                outage_s = _swap(connection, plan, live, progress, clock)
        except BaseException as error:
            put_back(plan, database, progress, error)
            raise
    return Restored(backup.id, plan.database, plan.previous_database, outage_s, plan.lost_window_s)


def require_key(backup: Backup, identity_file: Path | None) -> Identities | None:
    """What opens the backup, None where it is not encrypted. Raises ConfigurationError, naming
    the keys that would; ask before anything is planned or backed up."""
    identities = load_identities(identity_file) if backup.encrypted and identity_file else None
    require_identities(backup, identities)
    return identities


def _prepare(
    connection: Connection[Any],
    plan: RestorePlan,
    database: Database,
    host: Host,
    progress: Progress,
) -> Properties:
    with progress.step("create"):
        live = describe(connection, plan.database)
        _refuse_prepared(connection, plan.database)
        require_client(host, database, "pg_restore", connection.info.server_version // 10000)
        mark = Mark("restoring", plan.database, plan.backup.id)
        create_copy(connection, plan.new_database, live, mark)
    return live


def _swap(
    connection: Connection[Any],
    plan: RestorePlan,
    live: Properties,
    progress: Progress,
    clock: Clock,
) -> float:
    with progress.step("swap") as step:
        return swap(
            connection,
            live,
            plan.new_database,
            plan.previous_database,
            Mark("restoring", plan.database, plan.backup.id, closed=live.allows_connections),
            clock=clock,
            on_closed=lambda: step.line(f"{plan.database} is closed to connections"),
        )


def _refuse_prepared(connection: Connection[Any], name: str) -> None:
    with errors("look for prepared transactions"):
        found = connection.execute(
            "SELECT gid FROM pg_prepared_xacts WHERE database = %s ORDER BY 1", (name,)
        ).fetchall()
    if found:
        raise Refused(
            f"{name} has prepared transactions, and with those it cannot be renamed",
            details="\n".join(gid for (gid,) in found),
            hint="COMMIT PREPARED or ROLLBACK PREPARED each of them, then restore again.",
        )


def _inside(database: Database) -> tuple[int, tuple[str, ...]]:
    """Rows of the live database, and warnings about what a restore does not bring back."""
    name = database.dsn.database
    with database.connect() as connection, errors(f"look into {name}"):
        rows = sum(count for _table, count in fingerprint(connection))
        shared = [each for (each,) in connection.execute(_SHARED).fetchall()]
        slots = [each for (each,) in connection.execute(_SLOTS).fetchall()]
    warnings = []
    if shared:
        warnings.append(
            f"{len(shared)} tables or views have owners or privileges beside the database's owner;"
            f" afterwards all is its owner's, so grant again: {', '.join(shared[:5])}"
        )
    if slots:
        warnings.append(f"logical replication slots stay with the old one: {', '.join(slots)}")
    return rows, tuple(warnings)
