"""What is in the tables: by column, as a number that does not depend on the order of rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from stockctl.db.proof.shape import Table

Sum = tuple[int, int, str]  # rows, values that are not NULL, sum of their hashes


@dataclass(frozen=True, slots=True)
class Contents:
    """A table's columns, by name and by number; a rename keeps the number."""

    table: str
    oid: int
    by_name: dict[str, Sum]
    by_number: dict[int, Sum]


def read_contents(connection: Connection[Any], tables: Iterable[Table]) -> dict[int, Contents]:
    """Of each of these tables, by oid. Reads all their rows."""
    return {table.oid: _contents(connection, table) for table in tables}


def _contents(connection: Connection[Any], table: Table) -> Contents:
    columns = [each for each in table.columns if not each.generated]
    parts = [
        sql.SQL("count({0}), coalesce(sum(hashtextextended({0}::text, 0)), 0)::text").format(
            sql.Identifier(each.name)
        )
        for each in columns
    ]
    query = sql.SQL("SELECT {} FROM ONLY {}").format(
        sql.SQL(", ").join([sql.SQL("count(*)"), *parts]), table.identifier
    )
    row = connection.execute(query).fetchone()
    assert row is not None
    sums = [(row[0], row[1 + 2 * n], row[2 + 2 * n]) for n in range(len(columns))]
    return Contents(
        str(table),
        table.oid,
        {each.name: found for each, found in zip(columns, sums, strict=True)},
        {each.number: found for each, found in zip(columns, sums, strict=True)},
    )


@dataclass(frozen=True, slots=True)
class Lost:
    """A column whose values are not what they were. `by_down`: the up script had kept them."""

    column: str
    by_down: bool


def lost(
    before: dict[int, Contents], between: dict[int, Contents], after: dict[int, Contents]
) -> tuple[Lost, ...]:
    """Columns of `before` that hold something else `after`; `between` is after the up script."""
    names = {each.table: each for each in after.values()}
    found = []
    for oid, contents in before.items():
        now = names.get(contents.table)
        if now is None:
            continue  # the schema differs, which is reported as that
        kept = between.get(oid)
        numbers = dict(zip(contents.by_name, contents.by_number, strict=True))
        for name, values in contents.by_name.items():
            if name in now.by_name and now.by_name[name] != values:
                by_down = kept is not None and kept.by_number.get(numbers[name]) == values
                found.append(Lost(f"{contents.table}.{name}", by_down))
    return tuple(found)
