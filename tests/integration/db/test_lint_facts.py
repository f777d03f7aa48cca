"""What the rules of `db lint` claim about PostgreSQL, asked of PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from stockctl.db.lint.acts import acts
from stockctl.db.lint.indexes import _cannot_be_undone
from stockctl.db.lint.rewrites import _STEADY, _volatile
from stockctl.db.lint.types import is_free, read_type
from stockctl.db.lint.words import pieces
from stockctl.db.statements import split
from stockctl.system.postgres import Database

TYPES = [
    "smallint", "int", "bigint", "numeric", "numeric(10,2)", "numeric(12,2)", "numeric(12,4)",
    "real", "float8", "varchar", "varchar(20)", "varchar(50)", "text", "char(5)", "char(9)",
    "timestamp", "timestamp(3)", "timestamptz", "timestamptz(3)", "date", "time", "time(0)",
    "interval", "varbit", "varbit(4)", "varbit(8)", "bit(4)", "cidr", "inet", "boolean", "jsonb",
    "json", "uuid", "bytea",
]  # fmt: skip


def node(connection: psycopg.Connection[Any]) -> Any:
    """The file of the table: another one after a rewrite."""
    found = connection.execute("SELECT pg_relation_filenode('t')").fetchone()
    return found and found[0]


def words(text: str) -> list[str]:
    return [piece.word for piece in pieces(text, 0, len(text))]


def test_a_free_change_of_type_does_not_touch_the_table(database: Database) -> None:
    """Whatever is called free is, and what is free is known to be."""
    wrong, unknown = [], []
    with database.connect() as connection:
        connection.execute("SET timezone = 'Europe/Berlin'")  # UTC makes one more pair free
        for old in TYPES:
            for new in TYPES:
                connection.execute("DROP TABLE IF EXISTS t")
                connection.execute(f"CREATE TABLE t (a {old})".encode())
                before = node(connection)
                try:
                    connection.execute(f"ALTER TABLE t ALTER a TYPE {new}".encode())
                except psycopg.Error:
                    continue
                said, is_so = (
                    is_free(*map(read_type, map(words, (old, new)))),
                    node(connection) == before,
                )
                if said and not is_so:
                    wrong.append((old, new))
                if is_so and not said:
                    unknown.append((old, new))
    assert wrong == []
    assert unknown == []


@pytest.mark.parametrize(
    "column",
    [
        "int DEFAULT 1",
        "timestamptz DEFAULT now()",
        "text DEFAULT lower('A')",
        "uuid DEFAULT gen_random_uuid()",
        "float8 DEFAULT random()",
        "timestamptz DEFAULT clock_timestamp()",
        "text DEFAULT coalesce(upper('x'), md5('y'))",
        "jsonb DEFAULT jsonb_build_object('at', now())",
    ],
)
def test_a_default_rewrites_when_it_is_said_to(database: Database, column: str) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int)")
        connection.execute("INSERT INTO t VALUES (1)")
        before = node(connection)
        connection.execute(f"ALTER TABLE t ADD COLUMN a {column}".encode())
        assert bool(_volatile(words(column))) == (node(connection) != before)


def test_no_function_that_is_called_steady_is_volatile(database: Database) -> None:
    with database.connect() as connection:
        query = "SELECT DISTINCT proname FROM pg_proc WHERE provolatile = 'v' AND proname = ANY(%s)"
        found = connection.execute(query, ([name.lower() for name in _STEADY],)).fetchall()
    assert found == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        "DROP INDEX CONCURRENTLY j",
        "REINDEX TABLE CONCURRENTLY t",
        "REINDEX (CONCURRENTLY) TABLE t",
        "REINDEX SYSTEM",
        "REINDEX TABLE t",
        "VACUUM t",
        "CLUSTER",
        "CLUSTER t USING j",
        "CREATE DATABASE elsewhere",
        "DROP DATABASE elsewhere",
        "ALTER SYSTEM SET work_mem = '5MB'",
        "ALTER DATABASE postgres SET work_mem = '5MB'",
        "REFRESH MATERIALIZED VIEW m",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
        "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY",
        "ALTER TABLE p DETACH PARTITION p1",
        "ALTER TYPE mood ADD VALUE 'calm'",
        "TRUNCATE t",
    ],
)
def test_what_cannot_run_in_a_transaction_is_known(database: Database, statement: str) -> None:
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE t (a int); CREATE INDEX j ON t (a);"
            " CREATE TYPE mood AS ENUM ('sad');"
            " CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE UNIQUE INDEX ON m (a);"
            " CREATE TABLE p (a int) PARTITION BY LIST (a);"
            " CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)"
        )
        refused = False
        try:
            with connection.transaction():
                connection.execute(statement.encode())
                raise psycopg.Rollback
        except psycopg.errors.ActiveSqlTransaction:
            refused = True
    (act,) = acts(statement, split(statement))
    assert bool(_cannot_be_undone(act)) == refused


def test_a_new_enum_value_cannot_be_used_in_its_transaction(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('sad')")
        with pytest.raises(psycopg.errors.UnsafeNewEnumValueUsage), connection.transaction():
            connection.execute("ALTER TYPE mood ADD VALUE 'calm'")
            connection.execute(sql.SQL("SELECT {}::mood").format("calm"))
