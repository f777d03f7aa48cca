"""Twenty at once, a connection that is lost, a disk that is full, names that bite."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg import sql
from tests.disks import small_database
from tests.integration.db.conftest import Bench
from tests.servers import on_each_postgres

from stockctl.core.errors import Locked, MigrationFailed, Refused
from stockctl.db.forecast import forecast
from stockctl.db.ledger import read_status
from stockctl.db.migration import read_migrations
from stockctl.db.plan import plan_migrate, plan_rollback
from stockctl.db.runner import migrate
from stockctl.system.postgres import Database

RUNNERS = 20
HOSTILE = 'a"; drop table x; --'
QUOTED = '"a""; drop table x; --"'


@on_each_postgres
def test_twenty_at_once_apply_once(bench: Bench) -> None:
    """Every other one waits, the rest has no time: exit 5."""
    bench.query("CREATE TABLE effects (n int)")
    for number in range(1, 6):
        trace = f"INSERT INTO effects VALUES ({number}); SELECT pg_sleep(0.05);"
        bench.write(f"{number:04d}_t", f"CREATE TABLE t{number} (); {trace}")
    files = read_migrations(bench.folder)
    plan = plan_migrate(read_status(bench.database, files), files, to=None, phase=None)
    start = threading.Barrier(RUNNERS)

    def one(number: int) -> int | str:
        start.wait()
        wait_s = 60.0 if number % 2 else 0.0
        more = bench.more({"lock_wait_s": wait_s})
        try:
            return len(migrate(bench.database, plan, **more))
        except Locked as error:
            assert error.exit_code == 5
            return "locked"

    with ThreadPoolExecutor(RUNNERS) as pool:
        ended = list(pool.map(one, range(RUNNERS)))
    assert ended.count(5) == 1
    assert set(ended) <= {5, 0, "locked"}
    assert [each for each in ended[1::2] if each == "locked"] == []
    assert bench.query("SELECT n FROM effects ORDER BY 1") == [(n,) for n in range(1, 6)]
    assert set(bench.states().values()) == {"applied"}


@on_each_postgres
def test_a_connection_that_is_lost_leaves_nothing(bench: Bench) -> None:
    bench.write("0001_a", "CREATE TABLE a ();\nSELECT pg_sleep(60);")
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'" \
        " AND datname = current_database()"  # fmt: skip
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.migrate)
        deadline = time.monotonic() + 30
        while bench.query(ended) == []:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(MigrationFailed, match="terminating connection") as caught:
            running.result()
    assert caught.value.where and caught.value.where.file.endswith("0001_a.sql")
    assert bench.states() == {"0001_a": "pending"}
    assert bench.query("SELECT to_regclass('a')") == [(None,)]
    bench.write("0001_a", "CREATE TABLE a ();")
    assert bench.migrate() == ["0001_a"]


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Bench]:
    """A database whose disk has room for itself and a little more."""
    with small_database("24m") as (database, _disk):
        yield Bench(tmp_path, database)


def test_a_full_disk_leaves_nothing(full: Bench) -> None:
    full.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE a;")
    rows = "SELECT repeat(md5(n::text), 30) FROM generate_series(1, 200000) n"
    big = f"CREATE TABLE big (t text);\nINSERT INTO big {rows};"
    full.write("0002_big", big, "DROP TABLE big;")
    with pytest.raises(MigrationFailed, match="No space left on device") as caught:
        full.migrate()
    assert caught.value.where and caught.value.where.line == 2
    assert "disk is full" in caught.value.hint
    assert full.states() == {"0001_a": "applied", "0002_big": "pending"}
    assert full.query("SELECT to_regclass('big')") == [(None,)]
    full.write("0002_big", "CREATE TABLE big (t text);", "DROP TABLE big;")
    assert full.migrate() == ["0002_big"]
    assert full.rollback(steps=2) == ["0002_big", "0001_a"]


@on_each_postgres
def test_names_that_bite(bench: Bench) -> None:
    bench.query("CREATE TABLE x (id int)")
    bench.write("0001_a", f"CREATE TABLE {QUOTED} (id int, {QUOTED} int);", f"DROP TABLE {QUOTED};")
    head = "-- transactional: false\n"
    index = '"i""; drop table x; --"'
    up = f"{head}CREATE UNIQUE INDEX CONCURRENTLY {index} ON {QUOTED} ({QUOTED});"
    bench.write("0002_i", up, f"{head}DROP INDEX CONCURRENTLY IF EXISTS {index};")
    assert bench.migrate(lock_timeout_s=5) == ["0001_a", "0002_i"]
    bench.rollback()
    bench.query(f"INSERT INTO {QUOTED} VALUES (1, 1), (2, 1)")
    with pytest.raises(MigrationFailed, match="could not create unique index"):
        bench.migrate()
    assert bench.states()["0002_i"] == "dirty"
    bench.query(f"UPDATE {QUOTED} SET {QUOTED} = id")
    assert bench.migrate() == ["0002_i"]
    with pytest.raises(Refused) as caught:
        bench.rollback(steps=2)
    assert caught.value.details == f"table public.{HOSTILE}: 2 rows"
    assert bench.rollback(steps=2, allow_data_loss=True) == ["0002_i", "0001_a"]
    assert bench.query("SELECT to_regclass('x') IS NOT NULL") == [(True,)]


def test_a_database_whose_name_bites(database: Database, tmp_path: Path) -> None:
    name = f"{database.dsn.database}{HOSTILE}"
    with database.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    bench = Bench(tmp_path, database.to(name))
    bench.write("0001_a", "CREATE TABLE a ();", "DROP TABLE a;")
    try:
        assert bench.migrate() == ["0001_a"]
        assert bench.rollback() == ["0001_a"]
    finally:
        with database.connect() as connection:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(drop)


def test_a_rollback_says_what_it_would_drop(bench: Bench) -> None:
    """Also while somebody has the table locked: it waits for nobody."""
    bench.query("CREATE SCHEMA s")
    bench.write("0001_a", f"CREATE TABLE s.{QUOTED} (id int);", f"DROP TABLE s.{QUOTED};")
    bench.write("0002_b", "CREATE TABLE b (id int);", 'DROP TABLE IF EXISTS b, "no such";')
    bench.write("0003_c", "ALTER TABLE b ADD COLUMN c int;", "ALTER TABLE b DROP COLUMN c;")
    bench.migrate()
    bench.query("INSERT INTO b VALUES (1, NULL), (2, 5)")
    files = read_migrations(bench.folder)
    plan = plan_rollback(read_status(bench.database, files), files, steps=3, to=None)
    told = [(each.migration, str(each), each.rows) for each in forecast(bench.database, plan)]
    assert told == [
        ("0003_c", "column public.b.c: 1 row", 1),
        ("0002_b", "table public.b: 2 rows", 2),
        ("0001_a", f"table s.{HOSTILE}: empty", 0),
    ]
    with bench.database.connect() as other:
        other.execute("BEGIN; LOCK TABLE b")
        first, *_ = forecast(bench.database, plan)
    assert (str(first), first.rows) == ("column public.b.c: not counted, it is in use", None)
