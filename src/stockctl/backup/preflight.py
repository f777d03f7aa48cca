"""What would make a restore fail later, said before it begins."""

from __future__ import annotations

import re
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
from stockctl.system.host import Host
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

_MAJOR = re.compile(r"\d+")
_UNTRUSTED = """
SELECT DISTINCT name FROM pg_available_extension_versions
WHERE superuser AND NOT trusted AND name = ANY(%s)
"""


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
