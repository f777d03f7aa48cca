"""What a down script would throw away: tables with rows, columns with values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from stockctl.core.errors import Refused
from stockctl.db.record import OWN_TABLES

_COUNT_TO = 10_000

_COLUMNS = """
SELECT c.oid::bigint, a.attnum, n.nspname, c.relname, a.attname
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
   AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
   AND c.relname <> ALL (%s)
 ORDER BY n.nspname, c.relname, a.attnum
"""
_EXISTS = """
SELECT FROM pg_attribute
 WHERE attrelid = to_regclass(%s) AND attname = coalesce(%s, attname) AND NOT attisdropped LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its numbers in the catalog: a rename does not lose it."""

    table_oid: int
    number: int
    schema: str
    table: str
    name: str

    @property
    def key(self) -> tuple[int, int]:
        return self.table_oid, self.number


@dataclass(frozen=True, slots=True)
class Target:
    """What would go: a table, or one column of a table that stays."""

    schema: str
    table: str
    column: str | None = None

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.table)

    def __str__(self) -> str:
        return ".".join(part for part in (self.schema, self.table, self.column) if part)


@dataclass(frozen=True, slots=True)
class Loss:
    """A target that is not empty. `rows` stops counting at 10,000."""

    target: Target
    rows: int

    def __str__(self) -> str:
        kind = "column" if self.target.column else "table"
        count = f"more than {_COUNT_TO}" if self.rows > _COUNT_TO else str(self.rows)
        rows = "row" if self.rows == 1 else "rows"
        return f"{kind} {self.target}: {count} {rows}"


def read_columns(connection: Connection[Any]) -> tuple[Column, ...]:
    """All columns of all tables that are somebody's data."""
    found = connection.execute(_COLUMNS, (list(OWN_TABLES),)).fetchall()
    return tuple(Column(*row) for row in found)


def dropped(before: Iterable[Column], after: Iterable[Column]) -> tuple[Target, ...]:
    """What there was before and is not there after."""
    stays = {column.key for column in after}
    tables = {column.table_oid for column in after}
    gone = [column for column in before if column.key not in stays]
    return tuple(
        dict.fromkeys(
            Target(each.schema, each.table, each.name if each.table_oid in tables else None)
            for each in gone
        )
    )


def lock_targets(connection: Connection[Any], targets: Iterable[Target]) -> tuple[Target, ...]:
    """Nobody writes to these until the transaction ends. Returns those that still exist."""
    there = []
    for target in targets:
        names = (target.identifier.as_string(connection), target.column)
        if connection.execute(_EXISTS, names).fetchone():
            lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE")
            connection.execute(lock.format(target.identifier))
            there.append(target)
    return tuple(there)


def losses(connection: Connection[Any], targets: Iterable[Target]) -> tuple[Loss, ...]:
    """Those of them that hold something. Row security would hide it: then this fails."""
    connection.execute("SET LOCAL row_security = off")
    counted = (Loss(target, _count(connection, target)) for target in targets)
    return tuple(loss for loss in counted if loss.rows)


def _count(connection: Connection[Any], target: Target) -> int:
    holds: sql.Composable = sql.SQL("true")
    if target.column:
        holds = sql.SQL("{} IS NOT NULL").format(sql.Identifier(target.column))
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) AS counted")
    found = connection.execute(query.format(target.identifier, holds, _COUNT_TO + 1)).fetchone()
    return int(found[0]) if found else 0


def refuse(found: tuple[Loss, ...]) -> None:
    """Raises Refused where there are any."""
    if found:
        raise Refused(
            "the rollback would throw data away",
            details="\n".join(map(str, found)),
            hint="With --allow-data-loss it does; a backup is made before.",
        )
