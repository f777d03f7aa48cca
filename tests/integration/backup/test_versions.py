"""The whole way on each PostgreSQL, with the client tools of the server's own major version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.integration.backup.conftest import HOLDER
from tests.servers import a_server, on_each_postgres, scratch

from stockctl.backup.checks import read_checks
from stockctl.backup.clients import matching
from stockctl.backup.drill import Scratch, drill
from stockctl.backup.globals import read_roles
from stockctl.backup.properties import describe
from stockctl.backup.table import choose_table, restore_table
from stockctl.backup.verification import drill_and_record, verify
from stockctl.env.keys import load_identities
from stockctl.system.local import LocalHost
from stockctl.system.postgres import Database

pytestmark = on_each_postgres


@pytest.fixture
def another(postgres: Database) -> Iterator[Database]:
    """A server of the same version on which nothing of ours is."""
    with (
        scratch("another") as folder,
        a_server(_major(postgres), folder) as database,
    ):
        yield database


def _major(database: Database) -> int:
    with database.connect() as connection:
        return connection.info.server_version // 10000


def _furnish(bench: Any, role: str) -> None:
    """A role, properties of the database, a sequence, a large object, a partition, a view."""
    name = bench.database.dsn.database
    for statement in (
        f"CREATE ROLE {role} LOGIN PASSWORD 'p' CONNECTION LIMIT 3",
        f"ALTER ROLE {role} SET work_mem = '7MB'",
        f"ALTER DATABASE {name} SET statement_timeout = '15s'",
        f"ALTER DATABASE {name} CONNECTION LIMIT 50",
        f"GRANT CREATE ON DATABASE {name} TO {role}",
        f"COMMENT ON DATABASE {name} IS 'the one'",
        "CREATE TABLE part (id int, at int) PARTITION BY RANGE (at)",
        "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10)",
        "INSERT INTO part SELECT n, n % 10 FROM generate_series(1, 30) n",
        "CREATE TABLE keyed (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text UNIQUE)",
        "INSERT INTO keyed (t) VALUES ('a'), ('b'), (NULL)",
        "CREATE MATERIALIZED VIEW seen AS SELECT count(*) AS n FROM part",
        "SELECT lo_from_bytea(4711, '\\x00ff')",
    ):
        bench.run(statement)
    bench.fill(200)


def _content(bench: Any) -> list[Any]:
    found: list[Any] = bench.run("TABLE keyed ORDER BY id") + bench.run("TABLE part ORDER BY id")
    found += bench.run("TABLE seen") + bench.run("SELECT lo_get(4711)")
    return found + bench.run("SELECT md5(string_agg(body, '' ORDER BY id)) FROM item")


def _properties(bench: Any) -> Any:
    with bench.database.to("postgres").connect() as connection:
        return describe(connection, bench.database.dsn.database)


def test_there_and_back(sealed: Any, another: Database) -> None:
    role = f"{sealed.database.dsn.database}_app"
    _furnish(sealed, role)
    try:
        _all_of_it(sealed, another, role)
    finally:
        sealed.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


def _all_of_it(sealed: Any, another: Database, role: str) -> None:
    before, like = _content(sealed), _properties(sealed)
    major = _major(sealed.database)
    tools = matching(LocalHost(), sealed.database, "pg_dump", major).tools
    said = LocalHost().run(tools.local("pg_dump", "--version"), timeout_s=60).stdout
    assert f"(PostgreSQL) {major}" in said

    backup = sealed.create(hash_content=True)
    assert backup.server_version.startswith(f"{major}.")
    identities = load_identities(sealed.identity_file)
    ports = {key: sealed.ports()[key] for key in ("progress", "clock")}
    checked = verify(backup, sealed.store, identities, **ports)
    assert (checked.ok, checked.depth) == (True, "archive")
    scratch = Scratch(sealed.database, own=False)
    drilled = drill_and_record(
        backup,
        sealed.store,
        run=lambda b: drill(b, sealed.store, identities, scratch, **sealed.ports()),
        **ports,
    )
    assert (drilled.ok, drilled.reason) == (True, "")
    assert read_checks(sealed.store, backup).drilled_at is not None
    assert sealed.databases() == {sealed.database.dsn.database: True}

    sealed.run("DELETE FROM keyed; DELETE FROM part WHERE id > 3; SELECT lo_unlink(4711)")
    sealed.restore(jobs=2)
    assert (_content(sealed), _properties(sealed)) == (before, like)
    sealed.run("INSERT INTO keyed (t) VALUES ('after')")  # the sequence goes on
    sealed.undo()
    assert sealed.run("SELECT count(*) FROM keyed") == [(0,)]
    assert _properties(sealed) == like
    back = restore_table(
        backup,
        choose_table(backup, "keyed"),
        sealed.database,
        sealed.store,
        identity_file=sealed.identity_file,
        lock_holder=HOLDER,
        **sealed.ports(),
    )
    assert (back.restored, back.rows) == ("public.keyed_restored", 3)
    _into_nothing(sealed, another, role, before, like)


def _into_nothing(sealed: Any, another: Database, role: str, before: list[Any], like: Any) -> None:
    """The server has neither the database nor the role: both are made."""
    name = sealed.database.dsn.database
    there = replace(sealed, database=another.to(name), directory=sealed.directory / "there")
    done = there.restore()
    assert (done.previous_database, there.databases()) == (None, {name: True})
    assert (_content(there), _properties(there)) == (before, like)
    with there.database.connect() as connection:
        (again,) = [each for each in read_roles(connection) if each.name == role]
    assert again.connection_limit == 3
