"""Connections and client tools on a real server."""

from __future__ import annotations

import socket
import traceback
from pathlib import Path

import pytest
from psycopg import sql

from stockctl.core.errors import DatabaseFailed, DatabaseUnreachable
from stockctl.core.secret import Secret
from stockctl.system.local import LocalHost
from stockctl.system.postgres import ClientTools, Database, Dsn, connect, errors

CANARY = "c4n4ry7f3a91x"
LIMIT_S = 60.0


def ask(database: Database, query: str) -> str:
    """One value, through psql."""
    with database.tools.command("psql", "-XAtc", query, dsn=database.dsn) as command:
        return LocalHost().run(command, timeout_s=LIMIT_S).stdout.strip()


WEIRD = [
    "a=b",
    "postgres://x",
    "postgresql://u:p@h/d",
    'it\'s "quoted"',
    "two  words",
    "back\\slash",
    "ümläut…",
    "-d",
    "dbname=postgres",
]


@pytest.mark.parametrize("name", WEIRD)
def test_every_name_reaches_psql_pg_dump_and_psycopg(database: Database, name: str) -> None:
    identifier = sql.Identifier(name)
    with database.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    weird = database.to(name)
    try:
        assert ask(weird, "SELECT current_database()") == name
        with weird.connect() as connection:
            connection.execute("CREATE TABLE here (x int)")
            assert connection.execute("SELECT current_database()").fetchone() == (name,)
        with weird.tools.command("pg_dump", "--schema-only", dsn=weird.dsn) as command:
            assert "here" in LocalHost().run(command, timeout_s=LIMIT_S).stdout
        assert Dsn.parse(weird.dsn.url()) == weird.dsn
    finally:
        with database.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def test_the_operator_s_variables_do_not_redirect_us(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGHOSTADDR": "127.0.0.9",
        "PGPASSWORD": "wrong",
        "PGDATABASE": "postgres",
        "PGPORT": "1",
        "PGUSER": "nobody",
        "PGOPTIONS": "-c statement_timeout=1234",
    }.items():
        monkeypatch.setenv(name, value)
    assert ask(database, "SELECT current_database()") == database.dsn.database
    with database.connect() as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_timeouts_of_the_role_are_off(database: Database) -> None:
    name = sql.Identifier(database.dsn.database)
    with database.connect() as connection:
        for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} = '1234ms'").format(name, sql.Identifier(setting))
            )
    for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        with database.connect() as connection:
            assert connection.execute(f"SHOW {setting}").fetchone() == ("0",)
    assert ask(database, "SHOW statement_timeout") == "0"
    assert ask(database, "SHOW lock_timeout") == "0"


def test_the_server_notices_when_we_are_gone(database: Database) -> None:
    with database.connect() as connection:
        shown = connection.execute("SHOW client_connection_check_interval").fetchone()
    assert shown == ("1s",)


def test_a_dead_port_is_unreachable_and_says_no_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dsn = Dsn("127.0.0.1", taken.getsockname()[1], "app", Secret(CANARY), "shop")
        with pytest.raises(DatabaseUnreachable) as caught:
            connect(dsn)
    error = caught.value
    assert error.exit_code == 7
    assert "shop on 127.0.0.1" in str(error)
    assert "refused" in error.details
    assert CANARY not in f"{error} {error.details} {error.hint}"
    assert CANARY not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("options", [(("sslmode", "nonsense"),), (("no_such_option", "x"),)])
def test_options_that_libpq_does_not_know_are_unreachable_too(
    database: Database, options: tuple[tuple[str, str], ...]
) -> None:
    dsn = Dsn(database.dsn.host, database.dsn.port, "x", Secret(CANARY), "d", options)
    with pytest.raises(DatabaseUnreachable) as caught:
        connect(dsn)
    assert CANARY not in f"{caught.value} {caught.value.details}"


def test_a_database_that_is_not_there_is_named(database: Database) -> None:
    with pytest.raises(DatabaseUnreachable) as caught:
        database.to("gone").connect()
    assert "gone" in caught.value.details


def test_an_error_of_the_server_comes_in_its_own_words(database: Database) -> None:
    with (
        database.connect() as connection,
        pytest.raises(DatabaseFailed, match="cannot count") as caught,
        errors("count"),
    ):
        connection.execute("SELECT * FROM gone")
    assert 'relation "gone" does not exist' in caught.value.details


def test_a_password_is_not_on_argv_while_a_tool_runs(database: Database) -> None:
    dsn = Dsn(database.dsn.host, database.dsn.port, database.dsn.user, Secret(CANARY), "postgres")
    tools: ClientTools = database.tools
    query = "SELECT pg_sleep(300)"
    with tools.command("psql", "-XAtc", query, dsn=dsn) as command:
        passfile = Path(command.environment["PGPASSFILE"])
        with pytest.raises(RuntimeError), LocalHost().stream(command) as child:
            argv = b"".join(
                (entry / "cmdline").read_bytes()
                for entry in Path("/proc").iterdir()
                if entry.name == str(child.pid)  # type: ignore[attr-defined]
            )
            assert CANARY.encode() not in argv
            raise RuntimeError
    assert not passfile.exists()
