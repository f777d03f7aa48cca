"""A drill restores for real, finds what reading cannot, and leaves nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.servers import scratch

from stockctl.backup.checks import read_checks
from stockctl.backup.drill import Drilled, Scratch, drill
from stockctl.backup.manifest import Backup
from stockctl.backup.verification import Checked, drill_and_record
from stockctl.core.errors import Refused
from stockctl.system.embedded import serve
from stockctl.system.postgres import Database


@pytest.fixture(scope="module")
def spare() -> Iterator[Database]:
    """The server that a drill brings along."""
    with (
        scratch("drill") as folder,
        serve(folder / "pg") as database,
    ):
        yield database


def drilled(bench: Any, backup: Backup, scratch: Scratch) -> Checked:
    ports = bench.ports()

    def run(backup: Backup) -> Drilled:
        return drill(backup, bench.store, None, scratch, **bench.ports())

    return drill_and_record(backup, bench.store, ports["progress"], ports["clock"], run)


def left_on(database: Database) -> list[Any]:
    with database.connect() as connection:
        return connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE '%restore%'"
            " UNION SELECT rolname FROM pg_roles WHERE rolname LIKE 'stockctl_restore%'"
        ).fetchall()


def test_it_restores_and_keeps_the_time(bench: Any, spare: Database) -> None:
    bench.fill(500)
    backup = bench.create()
    found = drilled(bench, backup, Scratch(spare, own=True))
    assert (found.ok, found.depth) == (True, "archive")
    kept = read_checks(bench.store, backup)
    assert kept.drilled_at is not None
    assert kept.restore_s == found.restore_s
    assert re.fullmatch(r"an embedded PostgreSQL \d\d, \d jobs?", kept.drilled_on or "")
    assert left_on(spare) == []


def test_on_the_same_server_beside_the_live_one(bench: Any) -> None:
    bench.fill(10)
    backup = bench.create()
    assert drilled(bench, backup, Scratch(bench.database, own=False)).ok
    assert bench.databases() == {bench.database.dsn.database: True}


def test_other_rows_are_a_failure_that_is_kept(bench: Any, spare: Database) -> None:
    bench.fill(10)
    backup = bench.create()
    drilled(bench, backup, Scratch(spare, own=True))
    lying = replace(backup, fingerprint=(("public.item", 11),))
    bench.store.put(lying.manifest, lying.to_json())
    found = drilled(bench, lying, Scratch(spare, own=True))
    assert not found.ok
    kept = read_checks(bench.store, lying)
    assert (kept.drilled_at, kept.verified_at) == (None, None)
    assert kept.failed
    assert left_on(spare) == []


def test_a_hash_sees_a_changed_value_and_not_the_order(bench: Any, spare: Database) -> None:
    bench.run("CREATE TABLE item (id int, at timestamptz, body bytea, n float8)")
    bench.run("INSERT INTO item SELECT n, now(), '\\x00ff', 0.1 + n FROM generate_series(1, 9) n")
    bench.run("UPDATE item SET id = -id WHERE id % 2 = 0")  # another order than a restore makes
    backup = bench.create(hash_content=True)
    assert dict(backup.content).keys() == {"public.item"}
    bench.run("SET timezone = 'Asia/Tokyo'")
    assert drilled(bench, backup, Scratch(spare, own=True)).ok
    other = replace(backup, content=(("public.item", "1"),))
    bench.store.put(other.manifest, other.to_json())
    found = drilled(bench, other, Scratch(spare, own=True))
    assert found.error is not None
    assert found.error.details == "public.item: other content"


def test_an_older_server_is_refused_in_plain_words(bench: Any, spare: Database) -> None:
    bench.fill(1)
    backup = replace(bench.create(), server_version="99.0")
    with pytest.raises(Refused, match="PostgreSQL 99, this server is 18") as caught:
        drilled(bench, backup, Scratch(spare, own=True))
    assert "--on-server" in caught.value.hint
    assert read_checks(bench.store, backup).failed is None


def test_an_encrypted_one_in_another_encoding(sealed: Any, spare: Database) -> None:
    name = f"{sealed.database.dsn.database}_l1"
    sealed.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    bench = replace(sealed, database=sealed.database.to(name))
    bench.run('CREATE TABLE "Ünï" (t text); INSERT INTO "Ünï" VALUES (\'é\')')
    backup = bench.create(recipients=())
    assert drilled(bench, backup, Scratch(spare, own=True)).ok
