"""What a restore would do, looked up before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockctl.backup import preflight
from stockctl.backup.archive import Contents
from stockctl.backup.extensions import bound, missing_tablespaces
from stockctl.backup.fingerprint import Fingerprint, fingerprint
from stockctl.backup.giver import Roles, kept_from, lost_roles
from stockctl.backup.globals import Role, missing
from stockctl.backup.manifest import Backup, is_empty
from stockctl.backup.ownership import owners_in
from stockctl.backup.properties import Properties, describe, exists
from stockctl.backup.restorer import is_superuser
from stockctl.backup.room import Share, backup_share, copy_share, require_room
from stockctl.backup.stores.base import Store
from stockctl.backup.swap import free_name, kept, maintenance
from stockctl.backup.way import Way, choose_way
from stockctl.core.errors import Refused
from stockctl.core.units import format_instant
from stockctl.system.host import Host
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

_SLOTS = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"
_SUBSCRIPTIONS = """
SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid
WHERE datname = current_database() AND subenabled
"""


_LESS = "Without the safety backup, which what is live outlives all the same: --skip-backup."


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do, and what it would lose.

    `lost_window_s`: what was written in the seconds since the backup's snapshot is only in the
    kept database afterwards. `live` counts the rows of the live database; None when it lets
    nobody in, or is not there: then `previous_database` is None too, and `roles` are created.
    `kept_before` are the replaced databases of earlier restores; they take disk, nothing else.
    `warnings` name what the live database has and the restored one will lack.
    `trusted`: restored as the owner, even if that is a superuser. `room`: what will be
    written where.
    """

    backup: Backup
    database: str
    new_database: str
    previous_database: str | None
    lost_window_s: float
    live: Fingerprint | None
    live_bytes: int
    kept_before: tuple[str, ...]
    way: Way
    roles: tuple[Role, ...] = ()
    trusted: bool = False
    warnings: tuple[str, ...] = ()
    room: tuple[Share, ...] = ()

    @property
    def live_rows(self) -> int | None:
        return None if self.live is None else sum(rows for _table, rows in self.live)

    @property
    def lost_rows(self) -> tuple[str, ...]:
        """One line for each table that has another number of rows now. A row that was changed, or
        replaced by another, does not show here."""
        if self.live is None:
            return ()
        then, now = dict(self.backup.fingerprint), dict(self.live)
        return tuple(
            f"{table}: {then.get(table, 'none')} in the backup, {now.get(table, 'none')} now"
            for table in sorted(then.keys() | now.keys())
            if then.get(table) != now.get(table)
        )


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """`jobs`, `streamed`: see `choose_way`. `trusted`: see RestorePlan."""

    jobs: int | None = None
    trusted: bool = False
    streamed: bool | None = None


def plan_restore(
    backup: Backup,
    database: Database,
    now: datetime,
    *,
    contents: Contents,
    host: Host,
    directory: Path,
    options: RestoreOptions = RestoreOptions(),
    saved_into: Store | None = None,
) -> RestorePlan:
    """Looks, changes nothing; `contents` are from `verify.peek`, `saved_into` is the store for a
    backup of what is live, if one comes first. Raises Refused for what would fail later,
    ToolFailed, DatabaseFailed, DatabaseUnreachable, StoreFailed."""
    name = database.dsn.database
    with maintenance(database) as connection:
        if not options.trusted:
            preflight.require_no_superuser(contents, helped=is_superuser(connection))
        live = describe(connection, name) if exists(connection, name) else None
        refuse_prepared(connection, name)
        preflight.require_server(connection, backup)
        database = preflight.with_tools(connection, database, host)
        wanted = live or from_manifest(backup, name)
        roles = preflight.require_roles(connection, backup, wanted) if live is None else ()
        live_bytes = _bytes(connection, name) if live else 0
        copy = copy_share(connection, backup, database, host, wanted.tablespace)
        saved = _saved(saved_into, backup, live_bytes) if live and saved_into else ()
        require_room((copy, *saved), _LESS if saved else "")
        jobs, streamed = options.jobs, options.streamed
        way = choose_way(
            backup, database, host, directory, copy, *saved, jobs=jobs, streamed=streamed
        )
        inside = _inside(database) if live and live.allows_connections else None
        warnings = [*_dated(backup, now), *_of_contents(connection, contents, backup, name)]
        if live:
            warnings += _warnings(connection, backup, live, inside, trusted=options.trusted)
        return RestorePlan(
            backup=backup,
            database=name,
            new_database=free_name(connection, name, "restore", now),
            previous_database=free_name(connection, name, "before", now) if live else None,
            lost_window_s=(now - backup.created_at).total_seconds(),
            live=inside[0] if inside else None,
            live_bytes=live_bytes,
            kept_before=kept(connection, name),
            way=way,
            roles=roles,
            trusted=options.trusted,
            warnings=tuple(warnings),
            room=(copy, *saved, *way.written),
        )


def _saved(store: Store, like: Backup, live_bytes: int) -> tuple[Share]:
    return (backup_share(store, "the safety backup", like, live_bytes, live_bytes),)


def from_manifest(backup: Backup, name: str) -> Properties:
    """What a database is made like that is not there. Raises Refused for a backup that is too old
    to know."""
    if backup.globals is None:
        raise Refused(
            f"there is no database {name} on this server, and backup {backup.id} does not hold"
            " what it was like",
            hint="Create it empty, with the owner it should have, then restore.",
        )
    return replace(backup.globals.database, name=name)


def _bytes(connection: Connection[Any], name: str) -> int:
    with errors(f"measure {name}"):
        row = connection.execute("SELECT pg_database_size(%s::name)", (name,)).fetchone()
    return row[0] if row else 0


def refuse_prepared(connection: Connection[Any], name: str) -> None:
    """Raises Refused: a database with a prepared transaction cannot be renamed."""
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


_Inside = tuple[Fingerprint, frozenset[str], tuple[str, ...], tuple[str, ...]]


def _inside(database: Database) -> _Inside:
    """Rows of the live database, who owns something in it, its replication slots, its running
    subscriptions."""
    name = database.dsn.database
    with database.connect() as connection, errors(f"look into {name}"):
        rows = fingerprint(connection)
        owners = owners_in(connection)
        slots = [each for (each,) in connection.execute(_SLOTS).fetchall()]
        subscribed = [each for (each,) in connection.execute(_SUBSCRIPTIONS).fetchall()]
    return rows, owners, tuple(slots), tuple(subscribed)


def _of_contents(
    connection: Connection[Any], contents: Contents, backup: Backup, name: str
) -> Iterator[str]:
    """What of the dump will be otherwise than it was."""
    if backup.database != name:
        yield f"the backup is of a database {backup.database}, and goes into {name}"
    if lacking := missing_tablespaces(connection, contents):
        yield (
            f"this server has no tablespace {', '.join(lacking)}: all goes into the one of the"
            " database"
        )
    if without := bound(backup.extensions):
        yield (
            f"{', '.join(without)} is left out, since one database of a server can have it only:"
            " afterwards CREATE EXTENSION, and schedule again what the replaced database has"
        )
    if found := contents.of_kind("SUBSCRIPTION"):
        names = ", ".join(each.name for each in found)
        yield f"subscriptions come back disabled, ALTER SUBSCRIPTION … ENABLE: {names}"


def _dated(backup: Backup, now: datetime) -> Iterator[str]:
    if backup.created_at > now:
        yield (
            f"the backup is dated {format_instant(backup.created_at)}, which is to come: a clock"
            " was wrong, and another backup may be newer"
        )


def _warnings(
    connection: Connection[Any],
    backup: Backup,
    live: Properties,
    inside: _Inside | None,
    *,
    trusted: bool,
) -> Iterator[str]:
    """What a restore does not bring back."""
    known = backup.globals.roles if backup.globals else ()
    if absent := missing(connection, known):
        yield lost_roles((role.name for role in absent), live.owner)
    rows, owners, slots, subscribed = inside or ((), frozenset(), (), ())
    if backup.empty and not is_empty(rows):
        yield "the backup holds no rows, and the database does"
    mighty = (owners - {live.owner}) & Roles.look(connection).mighty
    if mighty and not trusted:
        yield kept_from(mighty, live.owner)
    if slots:
        yield f"logical replication slots stay with the old one: {', '.join(slots)}"
    if subscribed:
        yield (
            f"subscriptions stay with the old one, and go on writing to it: {', '.join(subscribed)}"
        )
