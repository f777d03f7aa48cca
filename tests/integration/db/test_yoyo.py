"""yoyo's own command and ours on one database: each sees what the other did."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.db.conftest import Bench

from stockctl.db.ledger import read_status
from stockctl.db.migration import read_migrations
from stockctl.db.yoyo_ledger import create_tables
from stockctl.system.postgres import Database

SHAPE = """
SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default
  FROM information_schema.columns WHERE table_name ~ 'yoyo' ORDER BY 1, 2
"""
KEYS = """
SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid::regclass::text ~ 'yoyo' ORDER BY 1, 2
"""


def yoyo(bench: Bench, *arguments: str) -> str:
    dsn = bench.database.dsn
    url = f"postgresql+psycopg://{dsn.user}@/{dsn.database}?host={dsn.host}&port={dsn.port}"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("yoyo"),
            *arguments,
            "--no-config-file",
            "--batch",
            "-d",
            url,
            bench.folder,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(bench: Bench) -> dict[str, str]:
    """A (applied) or U."""
    rows = [line.split() for line in yoyo(bench, "list").splitlines()]
    return {row[1]: row[0] for row in rows if len(row) > 1 and row[0] in ("A", "U")}


@pytest.fixture
def two(bench: Bench) -> Bench:
    for number, name in ((1, "a"), (2, "b")):
        bench.write(f"000{number}_{name}", f"CREATE TABLE {name} ();", f"DROP TABLE {name};")
    return bench


@pytest.fixture
def another(database: Database) -> Iterator[Database]:
    name = f"t_{uuid.uuid4().hex[:12]}"
    with database.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield database.to(name)
    with database.connect() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_its_tables_are_what_it_makes_itself(two: Bench, another: Database) -> None:
    yoyo(two, "list")  # makes them
    with another.connect() as ours:
        create_tables(ours)
        for query in (SHAPE, KEYS, "SELECT version FROM _yoyo_version"):
            assert ours.execute(query.encode()).fetchall() == two.query(query)


def test_its_older_tables_are_brought_up_to_date(two: Bench) -> None:
    """As yoyo before 6 had them."""
    two.query("CREATE TABLE a ()")
    two.query("CREATE TABLE _yoyo_migration (id varchar(255) PRIMARY KEY, ctime timestamp)")
    two.query("INSERT INTO _yoyo_migration VALUES ('0001_a', '2020-01-01')")
    with two.database.connect() as connection:
        create_tables(connection)
    assert two.migrate() == ["0002_b"]
    assert listed(two) == {"0001_a": "A", "0002_b": "A"}


def test_what_it_applied_is_applied_without_checksum(two: Bench) -> None:
    yoyo(two, "apply", "--revision", "0001_a")
    first, second = read_status(two.database, read_migrations(two.folder)).entries
    assert (first.state.value, second.state.value) == ("applied", "pending")
    assert "applied without checksum" in first.advice
    assert two.migrate() == ["0002_b"]
    assert two.rollback(steps=2) == ["0002_b", "0001_a"]
    assert listed(two) == {"0001_a": "U", "0002_b": "U"}


def test_it_goes_on_from_where_we_were(two: Bench) -> None:
    two.write("0003_c", "CREATE TABLE c ();", "DROP TABLE c;")
    (two.folder / "0003_c.sql").rename(two.folder / "later")
    (two.folder / "0003_c.rollback.sql").rename(two.folder / "later.rollback")
    assert two.migrate() == ["0001_a", "0002_b"]
    (two.folder / "later").rename(two.folder / "0003_c.sql")
    (two.folder / "later.rollback").rename(two.folder / "0003_c.rollback.sql")
    assert listed(two) == {"0001_a": "A", "0002_b": "A", "0003_c": "U"}
    yoyo(two, "apply")
    assert set(two.states().values()) == {"applied"}
    yoyo(two, "rollback", "--revision", "0003_c")
    assert two.states() == {"0001_a": "applied", "0002_b": "applied", "0003_c": "pending"}
    assert two.migrate() == ["0003_c"]


def test_its_log_holds_what_we_did(two: Bench) -> None:
    two.migrate()
    two.rollback()
    done = two.query("SELECT migration_id, operation FROM _yoyo_log ORDER BY created_at_utc")
    assert done == [("0001_a", "apply"), ("0002_b", "apply"), ("0002_b", "rollback")]
    [(hashed,)] = two.query("SELECT DISTINCT migration_hash FROM _yoyo_migration")
    from yoyo.migrations import get_migration_hash

    assert hashed == get_migration_hash("0001_a")
