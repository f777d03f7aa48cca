"""Rows per user table under one exported snapshot: what a restored copy must equal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

Fingerprint = tuple[tuple[str, int], ...]

# How long a dump may queue behind somebody's DDL before it gives up.
LOCK_WAIT = "60s"

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# Ordinary tables and leaf partitions, whose rows pg_dump writes. Not: tables that belong to an
# extension (their rows come with CREATE EXTENSION), temporary tables, materialized views (they
# are computed again by the restore).
_TABLES = """
SELECT n.nspname, c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""

# The text of a value must not depend on what a role or a database is set to.
_AS_TEXT = """
SET datestyle = 'ISO, MDY'; SET timezone = 'UTC'; SET intervalstyle = 'postgres';
SET extra_float_digits = 1; SET bytea_output = 'hex'; SET lc_monetary = 'C';
SET xmlbinary = 'base64'; SET row_security = off
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of the database that others can look at while its connection lives. `table_bytes`
    is what the tables take without their indexes: about what a dump of them will have."""

    connection: Connection[Any]
    name: str
    server_version: str
    major: int
    database_bytes: int
    table_bytes: int


@contextmanager
def snapshot(database: Database) -> Iterator[Snapshot]:
    """Opens and exports one (pg_export_snapshot); it ends with the block."""
    with database.connect() as connection:
        with errors(f"take a snapshot of {database.dsn}"):
            connection.execute(  # PostgreSQL 17 and newer; a role may have set it
                "SELECT set_config(name, '0', false) FROM pg_settings"
                " WHERE name = 'transaction_timeout'"
            )
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            row = connection.execute(
                "SELECT pg_export_snapshot(), current_setting('server_version'),"
                " current_setting('server_version_num')::int / 10000,"
                " pg_database_size(current_database()),"
                " (SELECT coalesce(sum(pg_relation_size(oid)), 0)::bigint FROM pg_class"
                "  WHERE relkind IN ('r', 't') AND relnamespace <> 'pg_catalog'::regnamespace)"
            ).fetchone()
        assert row is not None
        yield Snapshot(connection, *row)


def lock_tables(connection: Connection[Any]) -> int:
    """Keeps every table as it is until the connection's transaction ends: they can be read and
    written, not altered, emptied or dropped. Says how many. Raises DatabaseFailed."""
    from psycopg import sql

    with errors("lock the tables"):
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (LOCK_WAIT,))
        tables = connection.execute(_TABLES).fetchall()
        if tables:
            each = (sql.SQL("ONLY {}").format(sql.Identifier(*table)) for table in tables)
            names = sql.SQL(", ").join(each)
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
    return len(tables)


def fingerprint(connection: Connection[Any]) -> Fingerprint:
    """Counts every table in the connection's transaction. Raises DatabaseFailed.

    With `row_security` off, a policy that would hide rows is an error and not a smaller number.
    """
    from psycopg import sql

    with errors("count the rows"):
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (LOCK_WAIT,))
        connection.execute("SET row_security = off; SET jit = off")  # it would compile longer
        counted = []
        for schema, table in connection.execute(_TABLES).fetchall():
            query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, table))
            row = connection.execute(query).fetchone()
            counted.append((table_name(schema, table), row[0] if row else 0))
    return tuple(counted)


def content(connection: Connection[Any]) -> tuple[tuple[str, str], ...]:
    """For each table the sum of a 64-bit hash of each row's text: the order of rows, which a
    restore may change, does not matter. It reads every value on the server; a count does not."""
    from psycopg import sql

    query = 'SELECT coalesce(sum(hashtextextended((x.*)::text COLLATE "C", 0)::numeric), 0)::text'
    with errors("hash the rows"):
        connection.execute(_AS_TEXT)
        hashed = []
        for schema, table in connection.execute(_TABLES).fetchall():
            whole = sql.SQL(query + " FROM ONLY {} x").format(sql.Identifier(schema, table))
            row = connection.execute(whole).fetchone()
            hashed.append((table_name(schema, table), row[0] if row else "0"))
    return tuple(hashed)


def difference(expected: Fingerprint, found: Fingerprint) -> list[str]:
    """One line for each table that is not as it should be."""
    before, after = dict(expected), dict(found)
    return [
        f"{table}: {_rows(before.get(table))} expected, {_rows(after.get(table))} found"
        for table in sorted(before.keys() | after.keys())
        if before.get(table) != after.get(table)
    ]


def table_name(schema: str, table: str) -> str:
    """How a fingerprint calls it."""
    return f"{quoted(schema)}.{quoted(table)}"


def quoted(name: str) -> str:
    """As a fingerprint has it. Unambiguous in any version: `a.b`.c is not a.`b.c`."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _rows(count: int | None) -> str:
    return "no table" if count is None else f"{count} rows"
