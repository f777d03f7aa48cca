"""Drizzle's own record of what it applied: a table in a schema of its own.

`drizzle-kit migrate` writes a hash and the time of each file (`drizzle-orm/pg-core/dialect`,
`migrate`); `drizzle-kit push` writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from stockctl.db.catalog.nouns import Catalog

SCHEMA = "drizzle"
_TABLE = f"{SCHEMA}.__drizzle_migrations"
_READABLE = """
SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname = '__drizzle_migrations'
"""


@dataclass(frozen=True, slots=True)
class Journal:
    """How many migrations Drizzle has applied; `last` is when the youngest was generated."""

    entries: int
    last: datetime | None

    def __str__(self) -> str:
        when = f", the last one of {self.last:%Y-%m-%d %H:%M} UTC" if self.last else ""
        return f"Drizzle's journal has {self.entries} migrations{when}"


def read_journal(connection: Connection[Any]) -> Journal | None:
    """None where there is none, or it may not be read."""
    if connection.execute(_READABLE, (SCHEMA,)).fetchone() != (True,):
        return None
    row = connection.execute(f"SELECT count(*), max(created_at) FROM {_TABLE}".encode()).fetchone()
    assert row is not None
    last = datetime.fromtimestamp(row[1] / 1000, UTC) if row[1] else None
    return Journal(row[0], last)


def without_journal(catalog: Catalog) -> Catalog:
    """Without Drizzle's schema, where nothing but its journal is in it."""
    rest = [
        item.key
        for item in catalog
        if (item.key.home or item.key.name).startswith(f"{SCHEMA}.")
        and not (item.key.home or item.key.name).startswith(f"{SCHEMA}.__drizzle_migrations")
    ]
    return catalog if rest else catalog.without(SCHEMA)
