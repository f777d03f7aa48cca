"""Extensions of a restored database: made by us where that takes a superuser, left out of the dump.

Their scripts lie on the server and are its administrator's; what is in the dump is not. So a
superuser makes them, by name, and the dump is restored by somebody who is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stockctl.backup.publications import of_everything, of_schemas, publish
from stockctl.backup.restorer import Restorer
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

    from stockctl.backup.archive import Contents

Extensions = tuple[tuple[str, str, str], ...]
# What only one database of a server can have, by its name, so that no copy can; and the schema that
# it has its rows in (https://github.com/citusdata/pg_cron, cron.database_name).
_BOUND = {"pg_cron": "cron"}
_HERE = """
SELECT extname, extversion, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
WHERE extname <> 'plpgsql' ORDER BY 1
"""
_SAVED = """
SELECT nspname, relname, relkind = 'S' FROM pg_extension, unnest(extconfig) saved
JOIN pg_class c ON c.oid = saved JOIN pg_namespace n ON n.oid = relnamespace
"""
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


def bound(extensions: Extensions) -> tuple[str, ...]:
    """Those that a copy cannot have: they are left out, with what they saved."""
    return tuple(name for name, _version, _schema in extensions if name in _BOUND)


def lay_ground(
    empty: Database, worker: Restorer, extensions: Extensions, contents: Contents
) -> None:
    """What a superuser makes where the restorer is none: extensions, with their schemas, and what
    the restorer has to do with them, publications of everything, leave to use tablespaces. It all
    ends with the restorer (DROP OWNED)."""
    if not worker.own:
        return
    with empty.connect() as connection, errors("prepare the copy"), connection.transaction():
        _create(connection, worker, extensions)
        _open(connection, worker.name)
        publish(connection, of_everything(contents), worker.name)
        for name in tablespaces(contents):
            _grant(connection, worker.name, "CREATE ON TABLESPACE {}", name)


def lay_last(filled: Database, worker: Restorer, contents: Contents) -> None:
    """What a superuser adds to what was restored."""
    if worker.own and (schemas := of_schemas(contents)):
        with filled.connect() as connection, errors("publish the schemas"):
            publish(connection, schemas, worker.name)


def tablespaces(contents: Contents) -> tuple[str, ...]:
    """Those that the dump names."""
    return tuple(sorted({each.tablespace for each in contents.entries} - {""}))


def missing_tablespaces(connection: Connection[Any], contents: Contents) -> tuple[str, ...]:
    """Of these, the ones that this server has not."""
    with errors("look for the tablespaces"):
        known = {n for (n,) in connection.execute("SELECT spcname FROM pg_tablespace").fetchall()}
    return tuple(name for name in tablespaces(contents) if name not in known)


def _create(connection: Connection[Any], worker: Restorer, extensions: Extensions) -> None:
    from psycopg import sql

    for name, _version, schema in extensions:
        if name in _BOUND:
            continue
        where = sql.Identifier(schema)
        if schema != "public":
            make = sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}")
            connection.execute(make.format(where, sql.Identifier(worker.name)))
        # CASCADE: one may need another that comes later in the list
        create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} CASCADE")
        connection.execute(create.format(sql.Identifier(name), where))


def _open(connection: Connection[Any], role: str) -> None:
    """Rows that an extension asks pg_dump to save are loaded into tables that are not the
    restorer's (PostGIS has some), and servers need leave to use their wrapper
    (https://www.postgresql.org/docs/current/extend-extensions.html)."""
    for schema, name, is_sequence in connection.execute(_SAVED).fetchall():
        _grant(connection, role, "USAGE ON SCHEMA {}", schema)
        what = "UPDATE ON SEQUENCE {}" if is_sequence else "INSERT ON TABLE {}"
        _grant(connection, role, what, schema, name)
    for (name,) in connection.execute("SELECT fdwname FROM pg_foreign_data_wrapper").fetchall():
        _grant(connection, role, "USAGE ON FOREIGN DATA WRAPPER {}", name)


def _grant(connection: Connection[Any], role: str, what: str, *name: str) -> None:
    from psycopg import sql

    on = sql.SQL(what).format(sql.Identifier(*name))
    connection.execute(sql.SQL("GRANT {} TO {}").format(on, sql.Identifier(role)))


def entries_to_restore(
    contents: Contents,
    extensions: Extensions,
    only: frozenset[int] | None = None,
    *,
    helped: bool = True,
) -> str:
    """What `pg_restore -L` takes: the dump without what a copy cannot have and, where a superuser
    has `helped`, what `lay_ground` and `lay_last` make."""
    without = bound(extensions)
    gone = {_BOUND[name] for name in without}
    elsewhere = {each.id for each in (*of_everything(contents), *of_schemas(contents)) if helped}
    made = {name for name, _version, _schema in extensions if helped or name in without}
    schemas = {schema for _name, _version, schema in extensions if helped} - {"public"}
    return "".join(
        f"{entry.id};\n"
        for entry in contents.entries
        if (only is None or entry.id in only)
        and entry.id not in elsewhere
        and entry.schema not in gone
        and not (entry.kind == "EXTENSION" and entry.name in made)
        and not (entry.kind == "SCHEMA" and entry.name in schemas)
        and not (entry.kind == "COMMENT" and entry.name.startswith("EXTENSION ") and made)
    )
