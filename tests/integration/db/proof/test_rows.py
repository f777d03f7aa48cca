"""Rows are made for whatever a table demands, and where that fails it is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import Connection
from tests.servers import on_one_postgres

from stockctl.db.proof.fill import Filler
from stockctl.db.proof.shape import read_tables
from stockctl.system.postgres import Database

pytestmark = on_one_postgres

TYPES = """bool, smallint, int, bigint, oid, numeric, numeric(3), numeric(5,2), numeric(2,2), real,
    float8, money, text, varchar, varchar(1), varchar(3), char(2), "char", name, bytea, uuid, json,
    jsonb, date, timestamp, timestamptz, time, timetz, interval, inet, cidr, macaddr, macaddr8,
    bit(3), varbit(5), tsvector, tsquery, point, line, lseg, box, path, polygon, circle, pg_lsn,
    int4range, tstzrange, int4multirange, int[], text[], varchar(2)[], mood, mood[], short, pair,
    pair[], spans"""
# name -> columns; the rows that it must get at least
TABLES: dict[str, tuple[str, int]] = {
    "seeded": ("id serial PRIMARY KEY, x text", 3),
    "always": ("id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x text NOT NULL", 3),
    "computed": ("a int NOT NULL, b int GENERATED ALWAYS AS (a * 2) STORED", 3),
    "states": ("s text NOT NULL CHECK (s IN ('new', 'it''s', 'done'))", 3),
    "bounds": (
        "n int NOT NULL CHECK (n BETWEEN 1 AND 5), p numeric(4,2) CHECK (p > 0 AND p < 1)",
        3,
    ),
    "mails": (
        "m text NOT NULL UNIQUE CHECK (m ~ '^[^@]+@[^@]+$'), u text CHECK (u LIKE 'http%')",
        3,
    ),
    "lengths": ("t varchar(40) NOT NULL CHECK (length(t) >= 20), c char(1) NOT NULL", 1),
    "two_columns": ("a int NOT NULL, b int NOT NULL, CHECK (a < b), CHECK (a > 10)", 1),
    "parents": ("a int, b text, PRIMARY KEY (a, b)", 3),
    "children": ("a int NOT NULL, b text NOT NULL, FOREIGN KEY (a, b) REFERENCES parents", 3),
    "one_to_one": ("id bigint PRIMARY KEY REFERENCES always", 3),
    "tree": ("id int PRIMARY KEY, up int REFERENCES tree", 3),
    "own_root": ("id int PRIMARY KEY, root int NOT NULL REFERENCES own_root", 3),
    "flags": ("b bool NOT NULL UNIQUE", 1),
    "rooms": ("r int4range NOT NULL, EXCLUDE USING gist (r WITH &&)", 1),
    "domains": ("z zip NOT NULL, p positive NOT NULL", 3),
    "case_less": ("t text NOT NULL", 3),
}
BEFORE = """CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN short AS varchar(2);
CREATE DOMAIN zip AS text CHECK (VALUE ~ '^[0-9]{5}$');
CREATE DOMAIN positive AS int NOT NULL CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text); CREATE TYPE spans AS RANGE (SUBTYPE = float8);"""
AFTER = """CREATE UNIQUE INDEX ON case_less (lower(t));
CREATE TABLE events (at date NOT NULL, k int, PRIMARY KEY (k, at)) PARTITION BY RANGE (at);
CREATE TABLE events_26 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE TABLE of_events (k int NOT NULL, at date NOT NULL, FOREIGN KEY (k, at) REFERENCES events);
CREATE TABLE hen (id int PRIMARY KEY, egg int NOT NULL);
CREATE TABLE egg (id int PRIMARY KEY, hen int REFERENCES hen);
ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE inherited () INHERITS (seeded);
CREATE SCHEMA "O'dd"; CREATE TABLE "O'dd"."T%s;{}" ("C%s" int NOT NULL);"""
FAILING = """CREATE TABLE guarded (a int);
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not here'; END $$;
CREATE TRIGGER no BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION no();
CREATE TABLE below (id int PRIMARY KEY, up int NOT NULL);
ALTER TABLE below ADD CHECK (id <> id);
CREATE TABLE lower_still (up int NOT NULL REFERENCES below);"""


@pytest.fixture
def connection(database: Database) -> Iterator[Connection[Any]]:
    with database.connect() as connection:
        yield connection


def counts(connection: Connection[Any]) -> dict[str, int]:
    names = connection.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
    ).fetchall()
    found = {}
    for (name,) in names:
        row = connection.execute(f"SELECT count(*) FROM ONLY {name}".encode()).fetchone()
        found[name] = row[0] if row else 0
    return found


def test_every_table_gets_rows(connection: Connection[Any]) -> None:
    connection.execute(BEFORE.encode())
    for name, (columns, _rows) in TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns})".encode())
    connection.execute(AFTER.encode())
    filler = Filler()
    filler.fill(connection, read_tables(connection))
    found = counts(connection)
    assert {each.table: each.reason for each in filler.unfilled.values()} == {}
    for name, (_columns, rows) in TABLES.items():
        assert found[name] >= rows, name
    for name in ("events_26", "events_rest", "of_events", "hen", "egg", "inherited"):
        assert found[name] >= 1, name
    filler.fill(connection, read_tables(connection))  # what has rows is left alone
    assert counts(connection) == found


def test_every_type(connection: Connection[Any]) -> None:
    connection.execute(BEFORE.encode())
    types = [
        each.strip()
        for each in TYPES.replace("(5,2)", "(5;2)").replace("(2,2)", "(2;2)").split(",")
    ]
    columns = ", ".join(f"c{n} {each.replace(';', ',')} NOT NULL" for n, each in enumerate(types))
    connection.execute(f"CREATE TABLE every ({columns})".encode())
    filler = Filler()
    filler.fill(connection, read_tables(connection))
    assert filler.unfilled == {}
    assert counts(connection) == {"every": 3}


def test_one_row_of_three_is_sparse(connection: Connection[Any]) -> None:
    connection.execute("CREATE TABLE a (id int PRIMARY KEY, b text, c text NOT NULL DEFAULT 'd')")
    Filler().fill(connection, read_tables(connection))
    found = connection.execute("SELECT b IS NULL, c = 'd' FROM a ORDER BY id").fetchall()
    assert found == [(False, False), (True, True), (False, False)]


def test_numbers_of_seed_rows_stay_free(connection: Connection[Any]) -> None:
    connection.execute("CREATE TABLE a (id serial PRIMARY KEY, b smallserial UNIQUE)")
    Filler().fill(connection, read_tables(connection))
    connection.execute("INSERT INTO a (b) SELECT 1; INSERT INTO a VALUES (2, 2)")


def test_what_cannot_be_filled_is_said(connection: Connection[Any]) -> None:
    connection.execute(FAILING.encode())
    filler = Filler()
    filler.fill(connection, read_tables(connection))
    assert {each.table: each.reason for each in filler.unfilled.values()} == {
        "public.below": 'new row for relation "below" violates check constraint "below_id_check"',
        "public.guarded": "not here",
        "public.lower_still": "up refers to a table without rows",
    }
