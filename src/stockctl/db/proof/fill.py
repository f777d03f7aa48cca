"""Rows for tables that have none, so that scripts are tried on more than nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.pq import TransactionStatus

from stockctl.db.proof.nouns import Unfilled
from stockctl.db.proof.shape import Column, ForeignKey, Table, Type, read_tables, read_types
from stockctl.db.proof.values import Values

ROWS = 3
_TRIES = 80
_APART = 7  # between the numbers of a row that is tried again


@dataclass(slots=True)
class Filler:
    """Fills tables of one database, and remembers which."""

    filled: dict[int, int] = field(default_factory=dict)
    unfilled: dict[int, Unfilled] = field(default_factory=dict)
    _offset: int = 0
    _types: dict[int, Type] = field(default_factory=dict)

    def fill(self, connection: Connection[Any], tables: Iterable[Table]) -> None:
        """Every one of all the tables that is empty and was not looked at before; each by itself,
        so that one that cannot be filled does not keep the others empty."""
        there = {table.oid for table in tables}
        self.filled = {oid: rows for oid, rows in self.filled.items() if oid in there}
        self.unfilled = {oid: why for oid, why in self.unfilled.items() if oid in there}
        new = there - self.filled.keys()
        if not new:
            return
        values = self._values(connection)
        todo = [each for each in read_tables(connection, new) if each.oid in new]
        while ready := _next(todo, self.filled):
            todo.remove(ready)
            self._fill(connection, _Work(ready, values))

    def more(self, connection: Connection[Any], touched: Iterable[int]) -> None:
        """One more row for each of these tables, with as many NULLs as it takes: what may be
        written between an up script and its down script."""
        chosen = [oid for oid in touched if self.filled.get(oid)]
        if not chosen:
            return
        tables = {table.oid: table for table in read_tables(connection, chosen)}
        values = self._values(connection)
        for oid in sorted(chosen):
            if oid in tables:
                self._offset += 1
                work = _Work(tables[oid], values)
                work.insert(connection, 100 + self._offset, sparse=True)

    def _values(self, connection: Connection[Any]) -> Values:
        self._types = read_types(connection, self._types)
        return Values(self._types)

    def _fill(self, connection: Connection[Any], work: _Work) -> None:
        table, reason, rows = work.table, "", 0
        if _holds_rows(connection, table):
            rows = 1
        else:
            for number in range(ROWS):
                why = work.insert(connection, number, sparse=number == 1)
                rows += not why
                reason = reason or why
        self.filled[table.oid] = rows
        self.unfilled.pop(table.oid, None)
        if not rows:
            self.unfilled[table.oid] = Unfilled(str(table), reason)


def _next(todo: Sequence[Table], filled: dict[int, int]) -> Table | None:
    """One whose parents are filled; else one that can do without them; else any."""

    def missing(table: Table, *, needed: bool) -> bool:
        columns = {each.number: each for each in table.columns}
        return any(
            key.target != table.oid
            and not filled.get(key.target)
            and (not needed or any(columns[number].not_null for number in key.columns))
            for key in table.foreign_keys
        )

    for needed in (False, True):
        for table in todo:
            if not missing(table, needed=needed):
                return table
    return todo[0] if todo else None


def _holds_rows(connection: Connection[Any], table: Table) -> bool:
    query = sql.SQL("SELECT FROM ONLY {} LIMIT 1").format(table.identifier)
    return connection.execute(query).fetchone() is not None


@dataclass(slots=True)
class _Work:
    """One table that is being filled."""

    table: Table
    values: Values

    def insert(self, connection: Connection[Any], number: int, *, sparse: bool) -> str:
        """One row. Returns why not, empty when it is there.

        The server is asked: when a constraint says no, other values are tried for its columns.
        """
        try:
            keys = self._keys(connection, number)
        except psycopg.Error as error:
            return _said(error)
        turn: dict[int, int] = {}
        why = ""
        for _try in range(_TRIES):
            row = self._row(number, turn, keys, sparse=sparse)
            if isinstance(row, str):
                return row
            try:
                _alone(connection, self._statement(row))
            except psycopg.Error as error:
                why = _said(error)
                if isinstance(error, psycopg.errors.UniqueViolation):
                    number += _APART
                elif not self._turn(error, turn, keys):
                    return why
            else:
                return ""
        return why

    def _keys(self, connection: Connection[Any], number: int) -> dict[int, str | None]:
        """Values of columns that refer to other tables, from rows that are there."""
        found: dict[int, str | None] = {}
        for key in self.table.foreign_keys:
            own = key.target == self.table.oid
            rows = [] if own else connection.execute(_parents(key)).fetchall()
            if rows:
                found |= dict(zip(key.columns, rows[number % len(rows)], strict=True))
            else:
                found |= dict.fromkeys(key.columns)
        return found

    def _row(
        self, number: int, turn: dict[int, int], keys: dict[int, str | None], *, sparse: bool
    ) -> dict[str, str | None] | str:
        row: dict[str, str | None] = {}
        own: dict[int, str | None] = {}
        for column in self.table.columns:
            if column.generated or (sparse and self._leaves_out(column)):
                continue
            value = keys.get(column.number)
            if column.number not in keys:
                tried = self._candidates(column, number)
                value = tried[turn.get(column.number, 0) % len(tried)] if tried else None
                if value is None and column.default:
                    continue
                if value is None and column.not_null:
                    return f"nothing is known of the type of {column.name}"
            row[column.name] = own[column.number] = value
        self._refer_to_itself(row, own)
        empty = [each.name for each in self.table.columns if each.not_null and not each.generated]
        without = [name for name in empty if name in row and row[name] is None]
        return f"{without[0]} refers to a table without rows" if without else row

    def _refer_to_itself(self, row: dict[str, str | None], own: dict[int, str | None]) -> None:
        names = {each.number: each for each in self.table.columns}
        for key in self.table.foreign_keys:
            if key.target != self.table.oid:
                continue
            for mine, theirs in zip(key.columns, key.keys, strict=True):
                if names[mine].not_null:
                    row[names[mine].name] = own.get(theirs)

    def _leaves_out(self, column: Column) -> bool:
        given = column.default or not column.not_null
        return given and column.number not in self.table.unique

    def _candidates(self, column: Column, number: int) -> tuple[str, ...]:
        checks = [each.text for each in self.table.checks if column.number in each.columns]
        return self.values.candidates(column, number, checks)

    def _turn(self, error: psycopg.Error, turn: dict[int, int], keys: dict[int, Any]) -> bool:
        """Other values for what the constraint looks at: like a counter, so that all combinations
        come. False when there is nothing to turn."""
        if not isinstance(error, psycopg.errors.CheckViolation):
            return False
        name = error.diag.constraint_name
        known = [each for each in self.table.checks if each.name == name]
        columns = [number for each in known for number in each.columns if number not in keys]
        if not known:  # a domain's
            columns = [each.number for each in self.table.columns if each.number not in keys]
        by_number = {each.number: each for each in self.table.columns}
        for number in columns:
            count = max(len(self._candidates(by_number[number], 0)), 1)
            turn[number] = turn.get(number, 0) + 1
            if turn[number] % count:
                return True
        return bool(columns)

    def _statement(self, row: dict[str, str | None]) -> sql.Composed:
        if not row:
            return sql.SQL("INSERT INTO {} DEFAULT VALUES").format(self.table.identifier)
        return sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
            self.table.identifier,
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Literal(value) for value in row.values()),
        )


def _alone(connection: Connection[Any], statement: sql.Composed) -> None:
    """A statement that leaves nothing when it fails, also by what is put off to the end."""
    text = sql.SQL("SET CONSTRAINTS ALL IMMEDIATE; ") + statement
    if connection.info.transaction_status is TransactionStatus.IDLE:
        connection.execute(text)  # one text is one transaction
        return
    with connection.transaction():
        connection.execute(text)


def _parents(key: ForeignKey) -> sql.Composed:
    columns = [sql.SQL("{}::text").format(sql.Identifier(each)) for each in key.key_names]
    return sql.SQL("SELECT {} FROM {} LIMIT {}").format(
        sql.SQL(", ").join(columns), key.target_name, ROWS
    )


def _said(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).strip()
