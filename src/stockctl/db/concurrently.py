"""`CREATE INDEX CONCURRENTLY` and `DROP INDEX CONCURRENTLY`: statements that may end half-way.

A failed attempt leaves an invalid index behind, and `IF NOT EXISTS` then takes it for a good one
(https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stockctl.db.statements import split

if TYPE_CHECKING:
    from psycopg import Connection

_NAME = r'(?:"(?:[^"]|"")+"|[^\s."();,]+)'
_CREATE_INDEX = re.compile(
    rf"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?:IF NOT EXISTS )?(?P<name>{_NAME}) "
    rf"ON (?:ONLY )?(?P<table>{_NAME}(?: \. {_NAME})?)(?: |$)"
)
_DROP_INDEX = re.compile(r"DROP INDEX CONCURRENTLY IF EXISTS ")


@dataclass(frozen=True, slots=True)
class ConcurrentIndex:
    """A statement that may be run again after it failed half-way.

    `name` and `table` as written, for `parse_ident` and `to_regclass`; empty when it is a
    `DROP INDEX CONCURRENTLY IF EXISTS`, which needs nothing cleared away first.
    """

    name: str = ""
    table: str = ""


def concurrent_index(sql: str) -> ConcurrentIndex | None:
    """None unless `sql` is one `CREATE INDEX CONCURRENTLY name …` or `DROP … IF EXISTS`."""
    statements = split(sql)
    if len(statements) != 1:
        return None
    head = " ".join(statements[0].head)
    if match := _CREATE_INDEX.match(head):
        return ConcurrentIndex(match["name"], match["table"])
    return ConcurrentIndex() if _DROP_INDEX.match(head) else None


_FIND = """
SELECT format('%%I.%%I', n.nspname, c.relname), i.indisvalid
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.indrelid = to_regclass(%s) AND c.relname = (parse_ident(%s))[1]
"""


@dataclass(frozen=True, slots=True)
class FoundIndex:
    """An index in the database; `name` is quoted and has its schema."""

    name: str
    valid: bool


def find_index(connection: Connection[Any], index: ConcurrentIndex) -> FoundIndex | None:
    """The index that the statement creates, if it is there, in whatever state."""
    if not index.name:
        return None
    found = connection.execute(_FIND, (index.table, index.name)).fetchone()
    return FoundIndex(*found) if found else None


def drop_index(connection: Connection[Any], index: FoundIndex) -> None:
    """Without locking writers out. `name` is as `format('%I')` quoted it."""
    connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}".encode())
