"""What would make a restore fail later, said before it begins."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stockctl.backup.archive import Contents
from stockctl.backup.clients import matching
from stockctl.backup.extensions import bound, unavailable
from stockctl.backup.globals import Role, missing
from stockctl.backup.manifest import Backup
from stockctl.backup.properties import Properties
from stockctl.backup.publications import of_everything, of_schemas
from stockctl.backup.restorer import AFTER_ROWS, is_superuser, needing_superuser
from stockctl.core.errors import Refused
from stockctl.core.units import format_size
from stockctl.system.host import Host
from stockctl.system.inside import look_inside
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

_MAJOR = re.compile(r"\d+")
_UNTRUSTED = """
SELECT DISTINCT name FROM pg_available_extension_versions
WHERE superuser AND NOT trusted AND name = ANY(%s)
"""
# An empty place is the data directory's; only some roles may see where that is.
_WHERE = """
SELECT coalesce(nullif(pg_tablespace_location(t.oid), ''), s.setting) FROM pg_settings s
LEFT JOIN pg_tablespace t ON spcname = %s WHERE name = 'data_directory'
"""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that are free where the server has its data; None where nobody can tell."""

    free_bytes: int | None
    folder: str


def require_server(connection: Connection[Any], backup: Backup) -> None:
    """Raises Refused for an older server than the backup's, or one that lacks an extension."""
    ours = connection.info.server_version // 10000
    found = _MAJOR.match(backup.server_version)
    theirs = int(found[0]) if found else 0
    if theirs > ours:
        raise Refused(
            f"backup {backup.id} is of PostgreSQL {theirs}, this server is {ours}",
            hint="A dump goes into the same version or a newer one.",
        )
    extensions = tuple(e for e in backup.extensions if e[0] not in bound(backup.extensions))
    lacking = unavailable(connection, extensions)
    if lacking:
        raise Refused(
            f"this server has no extension {', '.join(lacking)}, which backup {backup.id} needs",
            hint="Install its package on the server, then restore again.",
        )
    with errors("look for the extensions"):
        names = [name for name, _version, _schema in extensions]
        rows = connection.execute(_UNTRUSTED, (names,)).fetchall()
    if rows and not is_superuser(connection):
        raise Refused(
            f"it takes a superuser to create {', '.join(name for (name,) in rows)}",
            hint="Restore with a database.url whose user is one.",
        )


def require_roles(
    connection: Connection[Any], backup: Backup, wanted: Properties
) -> tuple[Role, ...]:
    """The roles to be created first. Raises Refused where one is needed and not in the manifest."""
    known = backup.globals.roles if backup.globals else ()
    absent = missing(connection, known)
    with errors("look for the roles"):
        there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
    needed = {wanted.owner, *(s.role for s in wanted.settings), ""} - {""}
    needed |= {name for g in wanted.grants for name in (g.grantor, g.grantee) if name}
    lacking = sorted(needed - there - {role.name for role in absent})
    if lacking:
        raise Refused(
            f"this server has no role {', '.join(lacking)}, which the database needs",
            hint="CREATE ROLE … first, then restore again.",
        )
    return absent


def require_room(room: Room, needed_bytes: int) -> None:
    """Raises Refused when the copy will not fit beside what is there."""
    if room.free_bytes is not None and room.free_bytes < needed_bytes * 1.1:
        raise Refused(
            f"too little disk: the copy needs about {format_size(needed_bytes * 1.1)}, and"
            f" {format_size(room.free_bytes)} are free in {room.folder}",
            hint="Make room: drop databases that earlier restores kept, or grow the disk.",
        )


def look_for_room(
    connection: Connection[Any], database: Database, host: Host, tablespace: str = "pg_default"
) -> Room:
    """Asks the container, or this machine where the server is on it."""
    with errors("ask where the data is"):
        row = connection.execute(_WHERE, (tablespace,)).fetchone()
    if row is None:
        return Room(None, "")
    folder = str(row[0])
    if database.tools.prefix:
        found = look_inside(host, database.tools.prefix, folder).asked
        return Room(found.free if found else None, folder)
    here = database.dsn.host.startswith("/") or database.dsn.host in ("localhost", "127.0.0.1")
    if here and host.engine is None:
        try:
            return Room(shutil.disk_usage(folder).free, folder)
        except OSError:  # in a container, or closed to us
            pass
    return Room(None, folder)


def with_tools(connection: Connection[Any], database: Database, host: Host) -> Database:
    """The database with a pg_restore of its server's version. Raises ToolFailed without one."""
    return matching(host, database, "pg_restore", connection.info.server_version // 10000)


def require_no_superuser(
    contents: Contents, *, rows_only: bool = False, helped: bool = True
) -> None:
    """Raises Refused for a dump with something in it that only a superuser can make. `rows_only`:
    what comes after the rows is not restored anyway. `helped`: a superuser makes some of it."""
    found = needing_superuser(contents)
    if not helped:
        found += [*of_everything(contents), *of_schemas(contents)]
    if rows_only:
        found = [each for each in found if each.kind not in AFTER_ROWS]
    if found:
        raise Refused(
            "the dump holds what only a superuser can make, and it is not restored as one",
            details="\n".join(f"{each.kind.lower()} {each.name}" for each in found[:20]),
            hint="From files, with PostgreSQL's own tools: docs/restore-without-stockctl.md."
            if rows_only
            else "If you trust all that is in it: --trust-dump.",
        )
