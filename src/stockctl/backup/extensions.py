"""Extensions of a restored database: made by us where that takes a superuser, left out of the dump.

Their scripts lie on the server and are its administrator's; what is in the dump is not. So a
superuser makes them, by name, and the dump is restored by somebody who is none.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stockctl.backup.manifest import Backup
from stockctl.backup.restorer import Restorer
from stockctl.core.command import Command
from stockctl.core.secret import Secret
from stockctl.system.host import Host
from stockctl.system.postgres import ClientTools, Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

    from stockctl.backup.archive import Contents

Extensions = tuple[tuple[str, str, str], ...]
_HERE = """
SELECT extname, extversion, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
WHERE extname <> 'plpgsql' ORDER BY 1
"""
_WRITE = 'umask 077; cat > "$1"'
_TIMEOUT_S = 60.0
_AVAILABLE = "SELECT name FROM pg_available_extensions"


def read_extensions(connection: Connection[Any]) -> Extensions:
    """(name, version, schema) of each, without the one that every database has."""
    with errors("read the extensions"):
        return tuple(tuple(row) for row in connection.execute(_HERE).fetchall())


def unavailable(connection: Connection[Any], wanted: Extensions) -> tuple[str, ...]:
    """Those whose files this server has not."""
    with errors("look for the extensions"):
        known = {name for (name,) in connection.execute(_AVAILABLE).fetchall()}
    return tuple(name for name, _version, _schema in wanted if name not in known)


def create_extensions(empty: Database, worker: Restorer, backup: Backup) -> None:
    """Makes them, with their schemas, where the restorer is not who we are."""
    if not worker.own or not backup.extensions:
        return
    from psycopg import sql

    with empty.connect() as connection, errors("create the extensions"), connection.transaction():
        for name, _version, schema in backup.extensions:
            where = sql.Identifier(schema)
            if schema != "public":
                make = sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}")
                connection.execute(make.format(where, sql.Identifier(worker.name)))
            # CASCADE: one may need another that comes later in the list
            connection.execute(
                sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} CASCADE").format(
                    sql.Identifier(name), where
                )
            )


def entries_to_restore(
    contents: Contents, extensions: Extensions, only: frozenset[int] | None = None
) -> str:
    """What `pg_restore -L` takes: the dump without what `create_extensions` made."""
    made = {name for name, _version, _schema in extensions}
    schemas = {schema for _name, _version, schema in extensions} - {"public"}
    return "".join(
        f"{entry.id};\n"
        for entry in contents.entries
        if (only is None or entry.id in only)
        and not (entry.kind == "EXTENSION" and entry.name in made)
        and not (entry.kind == "SCHEMA" and entry.name in schemas)
        and not (entry.kind == "COMMENT" and entry.name.startswith("EXTENSION "))
    )


@contextmanager
def list_file(tools: ClientTools, host: Host, text: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Its name for the tools, and the descriptors that they must inherit for it."""
    if tools.prefix:
        name = f"/tmp/stockctl-{secrets.token_hex(6)}.list"
        write = Command((*tools.prefix, "sh", "-c", _WRITE, "sh", name), input=Secret(text))
        host.run(write, timeout_s=_TIMEOUT_S)
        try:
            yield name, ()
        finally:
            host.run(Command((*tools.prefix, "rm", "-f", name)), timeout_s=_TIMEOUT_S)
        return
    descriptor = os.memfd_create("pg_restore.list")
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)
