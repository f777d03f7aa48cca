"""What will be written where, summed up for each file system, and whether it fits there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockctl.backup.catalog import points_at
from stockctl.backup.manifest import Backup, parse_name
from stockctl.backup.stores.base import Store
from stockctl.core.errors import BackupInvalid, Refused, StoreFailed
from stockctl.core.units import format_size
from stockctl.system.clients_here import home_of
from stockctl.system.disk import Disk, disk_inside, disk_of
from stockctl.system.host import Host
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

_MARGIN = 1.1  # indexes are made anew, the log of it grows beside
_DUMP_MARGIN = 1.05
_SCRATCH_BYTES = 10_000_000  # an empty database
# Of a database that was never backed up. What was seen is a third to a twentieth of its tables; a
# refusal costs a backup and running out costs minutes, so what may fit is tried (decision 0063).
_FIRST = 0.1
_MAKE_ROOM = (
    "Make room (stockctl backup tidy ENV --plan: what earlier restores left;"
    " stockctl backup prune ENV --plan), or grow the disk."
)
# An empty place is the data directory's; only some roles may see where that is.
_WHERE = """
SELECT coalesce(
  nullif((SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = %s), ''),
  (SELECT setting FROM pg_settings WHERE name = 'data_directory'), '')
"""
_TABLE = """
SELECT pg_table_size(oid), reltuples FROM pg_class WHERE oid = to_regclass(%s) AND reltuples > 0
"""


@dataclass(frozen=True, slots=True)
class Share:
    """What is going to be written, about how many bytes of it, and into which folder. `disk`: None
    where nobody can tell what that is on."""

    what: str
    needed_bytes: int
    folder: str
    disk: Disk | None

    def __str__(self) -> str:
        return f"{self.what} about {format_size(self.needed_bytes)}"


@dataclass(frozen=True, slots=True)
class _Group:
    """Those that share a file system."""

    shares: tuple[Share, ...]
    free_bytes: int

    @property
    def needed_bytes(self) -> int:
        return sum(share.needed_bytes for share in self.shares)

    @property
    def folders(self) -> str:
        return " and ".join(dict.fromkeys(share.folder for share in self.shares))


def require_room(shares: Sequence[Share], hint: str = "") -> None:
    """Raises Refused where what goes to one file system does not fit on it, with each share."""
    for group in _by_disk(shares):
        if group.needed_bytes <= group.free_bytes:
            continue
        raise Refused(
            f"too little disk: about {format_size(group.needed_bytes)} are needed, and"
            f" {format_size(group.free_bytes)} are free in {group.folders}",
            details="\n".join(f"{share}, in {share.folder}" for share in group.shares),
            hint="\n".join(filter(None, (_MAKE_ROOM, hint))),
        )


def fits(share: Share, *others: Share) -> bool:
    """Whether it has room besides those of the others that go to the same file system; so it has
    where nobody can tell."""
    if share.disk is None:
        return True
    beside = (each for each in others if each.disk and each.disk.id == share.disk.id)
    needed = share.needed_bytes + sum(each.needed_bytes for each in beside)
    return needed <= share.disk.free_bytes


def told(shares: Sequence[Share]) -> Iterator[tuple[str, bool]]:
    """For a plan, one line for each file system, and whether its room is known."""
    for group in _by_disk(shares):
        needs = ", ".join(map(str, group.shares))
        yield f"{needs}; {format_size(group.free_bytes)} free in {group.folders}", True
    for share in shares:
        if share.disk is None:
            yield f"on {share.folder} is not known; {share}", False


def data_of(shares: Sequence[Share]) -> list[dict[str, Any]]:
    """For programs. `free_bytes` None: not known."""
    return [
        {
            "what": share.what,
            "needed_bytes": share.needed_bytes,
            "folder": share.folder,
            "free_bytes": share.disk.free_bytes if share.disk else None,
        }
        for share in shares
    ]


def copy_share(
    connection: Connection[Any],
    backup: Backup,
    database: Database,
    host: Host,
    tablespace: str = "pg_default",
) -> Share:
    """A copy of the whole database, on its server."""
    needed = int(backup.database_bytes * _MARGIN)
    return Share("the copy", needed, *_of_server(connection, database, host, tablespace))


def table_share(
    connection: Connection[Any],
    inside: Connection[Any],
    backup: Backup,
    table: str,
    database: Database,
    host: Host,
    tablespace: str,
) -> Share:
    """The rows of one table, once in a copy of its own and once beside the live one. By the size
    of the live one, where its rows were ever counted, else by its share of all rows."""
    rows = dict(backup.fingerprint)[table]
    with errors(f"measure {table}"):
        found = inside.execute(_TABLE, (table,)).fetchone()
    if found:
        once = found[0] * rows / found[1]
    else:
        once = backup.database_bytes * rows / max(backup.rows, 1)
    needed = int(2 * once * _MARGIN) + _SCRATCH_BYTES
    where = _of_server(connection, database, host, tablespace)
    return Share("the rows in a copy and beside the live table", needed, *where)


def dump_share(backup: Backup, folder: str, disk: Disk | None) -> Share:
    """The decoded dump, where pg_restore runs."""
    needed = int((backup.dump_bytes or backup.database_bytes) * _DUMP_MARGIN)
    return Share("the decoded dump", needed, folder, disk)


def backup_share(
    store: Store, what: str, like: Backup | None, database_bytes: int, table_bytes: int
) -> Share:
    """A backup of a database that has so many bytes, and so many in its tables. `like`: one of its
    backups, which says how well it compresses."""
    if like is not None and like.database_bytes:
        needed = int(like.size_bytes * database_bytes / like.database_bytes)
    else:
        needed = int(table_bytes * _FIRST)
    try:
        disk = store.disk()
    except StoreFailed:  # whoever writes there is told
        disk = None
    return Share(what, needed, store.describe(), disk)


def last_backup(store: Store, environment: str, database: str) -> Backup | None:
    """The newest of this database, by the pointer to it. None where there is none to be read."""
    parsed = parse_name(points_at(store, environment), environment)
    if parsed is None:
        return None
    name = f"{environment}.{parsed[0]}.json"
    try:
        found = Backup.from_json(store.get(name), name)
    except (BackupInvalid, StoreFailed):
        return None
    return found if found.database == database else None


def _by_disk(shares: Sequence[Share]) -> list[_Group]:
    groups: dict[str, list[Share]] = {}
    for share in shares:
        if share.disk is not None:
            groups.setdefault(share.disk.id, []).append(share)
    return [
        _Group(tuple(group), min(share.disk.free_bytes for share in group if share.disk))
        for group in groups.values()
    ]


def _of_server(
    connection: Connection[Any], database: Database, host: Host, tablespace: str
) -> tuple[str, Disk | None]:
    """Where the server has its data: asked in its container, else on the environment's host where
    the server is there."""
    with errors("ask where the data is"):
        row = connection.execute(_WHERE, (tablespace,)).fetchone()
    folder = str(row[0]) if row else ""
    shown = folder or f"the server of {database.dsn.database}"
    if database.tools.prefix:
        return shown, disk_inside(host, database.tools.prefix, folder)
    if not database.at_home or not folder:
        return shown, None
    return shown, disk_of(home_of(host), Path(folder))
