"""What the rules of `db lint` claim about PostgreSQL, asked of PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from stockctl.db.lint.acts import acts
from stockctl.db.lint.indexes import _cannot_be_undone
from stockctl.db.lint.locks import MODES, expected
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
        "ALTER DATABASE postgres SET TABLESPACE pg_default",
        "ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE pg_default",
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


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE t",
        "TRUNCATE t",
        "LOCK TABLE t IN SHARE MODE",
        "LOCK t",
        "CREATE INDEX ON t (a)",
        "REINDEX TABLE t",
        "CLUSTER t USING j",
        "ALTER TABLE t ADD COLUMN c int",
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t ALTER b TYPE text",
        "ALTER TABLE t ALTER b SET NOT NULL",
        "ALTER TABLE t ALTER b SET DEFAULT 1",
        "ALTER TABLE t ALTER b SET STATISTICS 9",
        "ALTER TABLE t SET (fillfactor = 70)",
        "ALTER TABLE t ADD CHECK (a > 0) NOT VALID",
        "ALTER TABLE t ADD UNIQUE (a)",
        "ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES u (id) NOT VALID",
        "ALTER TABLE t ADD COLUMN c int REFERENCES public.u",
        "ALTER TABLE t VALIDATE CONSTRAINT k",
        "ALTER TABLE t RENAME TO s",
        "ALTER TABLE t RENAME b TO c",
        "ALTER TABLE t DISABLE TRIGGER ALL",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t SET UNLOGGED",
        "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)",
        "ALTER TABLE p DETACH PARTITION p1",
        "CREATE POLICY x ON t",
        "CREATE TRIGGER x BEFORE UPDATE ON t EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE RULE x AS ON UPDATE TO t DO INSTEAD NOTHING",
        "CREATE TABLE s (a int REFERENCES u (id), b int, FOREIGN KEY (b) REFERENCES u (id))",
        "CREATE TABLE s (a int); CREATE INDEX ON s (a)",
        "REFRESH MATERIALIZED VIEW m",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
        "DROP VIEW v",
        "UPDATE t SET a = 1",
        "INSERT INTO t VALUES (1, 2)",
    ],
)
def test_the_locks_of_the_plan_are_those_that_are_taken(database: Database, statement: str) -> None:
    query = """
        SELECT relation, mode FROM pg_locks
         WHERE pid = pg_backend_pid() AND database = (
               SELECT oid FROM pg_database WHERE datname = current_database())
    """
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE u (id int PRIMARY KEY);"
            " CREATE TABLE t (a int, b int, CONSTRAINT k CHECK (a > 0) NOT VALID);"
            " CREATE INDEX j ON t (a); CREATE VIEW v AS SELECT 1 AS a;"
            " CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE UNIQUE INDEX ON m (a);"
            " CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p2 (a int);"
            " CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)"
        )
        there = "SELECT oid, relname FROM pg_class WHERE relname = ANY('{u,t,v,m,p}')"
        names = dict(connection.execute(there).fetchall())
        with connection.transaction():
            connection.execute(statement.encode())
            held = connection.execute(query).fetchall()
            raise psycopg.Rollback
    real: dict[str, str] = {}
    for relation, mode in held:
        name = "".join(f" {c}" if c.isupper() else c for c in mode.removesuffix("Lock"))
        spelt = name.strip().upper()
        table = names.get(relation)
        if table and spelt in MODES:
            real[table] = max(spelt, real.get(table, spelt), key=MODES.index)
    assert {each.table: each.mode for each in expected(statement)} == real
