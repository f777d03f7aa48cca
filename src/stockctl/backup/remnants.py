"""What restores leave on a server: replaced databases, copies that were cut short, brought-back
tables. All of them bear a mark of ours; what bears none is somebody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from stockctl.backup.swap import STAMP, Mark
from stockctl.core.units import format_instant, parse_instant
from stockctl.system.postgres import errors

if TYPE_CHECKING:
    from psycopg import Connection

SIZES_WITHIN_MS = 1000  # a database of very many files takes its time
_STAMPED = re.compile(r"_(?:before|restore)_(\d{8}t\d{6}z)(?:_\d+)?", re.DOTALL)
_DATABASES = """
SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database
WHERE starts_with(shobj_description(oid, 'pg_database'), '{"stockctl"') ORDER BY 1
"""
# To measure a database takes leave to enter it, or a role for that.
_SIZES = """
SELECT datname, pg_database_size(oid) FROM pg_database
WHERE datname = ANY(%s)
  AND (has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE'))
"""
_NOTE = "stockctl: rows of backup "
_NOTED = re.compile(rf"{_NOTE}(\S+), brought back (\S+)")
_TABLES = """
SELECT format('%%I.%%I', nspname, relname), description, pg_total_relation_size(c.oid)
FROM pg_description d JOIN pg_class c ON c.oid = objoid AND objsubid = 0
JOIN pg_namespace n ON n.oid = relnamespace
WHERE classoid = 'pg_class'::regclass AND relkind = 'r' AND starts_with(description, %s)
ORDER BY 1
"""


class Kind(StrEnum):
    """`kept`: what a restore replaced, for `backup undo`. `returning`: the same, of an undo that
    was cut short or is at work. `unfinished`: the copy of a restore that was, or is. `table`: what
    `restore --table` brought back."""

    KEPT = "kept"
    RETURNING = "returning"
    UNFINISHED = "unfinished"
    TABLE = "table"


_KINDS = {"kept": Kind.KEPT, "returning": Kind.RETURNING, "restoring": Kind.UNFINISHED}


@dataclass(frozen=True, slots=True)
class Remnant:
    """`name` of a database, or of a table as SQL has it. `size_bytes` None: it could not be
    measured. `made_at` by the clock of whoever restored; None where its name was changed."""

    name: str
    kind: Kind
    size_bytes: int | None = None
    made_at: datetime | None = None

    def age_s(self, now: datetime) -> float | None:
        """Since it was made."""
        return None if self.made_at is None else (now - self.made_at).total_seconds()

    def data(self, now: datetime) -> dict[str, Any]:
        """For programs."""
        age_s = self.age_s(now)
        return {
            "name": self.name,
            "kind": self.kind.value,
            "size_bytes": self.size_bytes,
            "made_at": self.made_at and format_instant(self.made_at),
            "age_s": None if age_s is None else round(age_s),
        }


def remnants(connection: Connection[Any], live: str) -> tuple[Remnant, ...]:
    """All of the database `live`, which the connection is in, or beside: then without tables.
    Raises DatabaseFailed."""
    with errors("look for what restores left"):
        found = [*_databases(connection, live)]
        if connection.info.dbname == live:
            found += _tables(connection)
    return tuple(found)


def table_note(backup_id: str, now: datetime) -> str:
    """The comment of a table that was brought back."""
    return f"{_NOTE}{backup_id}, brought back {format_instant(now)}"


def _databases(connection: Connection[Any], live: str) -> Iterator[Remnant]:
    there = []
    for name, comment in connection.execute(_DATABASES).fetchall():
        mark = Mark.parse(comment)
        if mark is not None and mark.live == live != name:
            there.append(Remnant(name, _KINDS[mark.stockctl], None, _made_at(name)))
    sizes = _sizes(connection, [each.name for each in there]) if there else {}
    yield from (replace(each, size_bytes=sizes.get(each.name)) for each in there)


def _sizes(connection: Connection[Any], names: list[str]) -> dict[str, int]:
    """Of those that can be measured in time."""
    from psycopg.errors import QueryCanceled

    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = {SIZES_WITHIN_MS}".encode())
            return dict(connection.execute(_SIZES, (names,)).fetchall())
    except QueryCanceled:
        return {}


def _tables(connection: Connection[Any]) -> Iterator[Remnant]:
    for name, comment, size in connection.execute(_TABLES, (_NOTE,)).fetchall():
        noted = _NOTED.fullmatch(comment)
        if noted:
            yield Remnant(name, Kind.TABLE, size, _instant(noted[2]))


def _made_at(name: str) -> datetime | None:
    found = _STAMPED.search(name, max(0, len(name) - 30))
    if found is None or found.end() != len(name):
        return None
    return datetime.strptime(found[1], STAMP).replace(tzinfo=UTC)


def _instant(text: str) -> datetime | None:
    try:
        return parse_instant(text)
    except ValueError:
        return None
