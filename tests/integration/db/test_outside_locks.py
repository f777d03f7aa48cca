"""Locks that a statement outside a transaction cannot have: what waits, what is tried again, what
is left."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest
from tests.integration.db.conftest import Bench
from tests.servers import on_each_postgres

from stockctl.core.errors import MigrationFailed
from stockctl.core.progress import Event, Message

HEAD = "-- transactional: false\n"
INDEX = f"{HEAD}CREATE INDEX CONCURRENTLY busy_name ON busy (name);"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('busy_name')"
WAITING = """
SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
   AND application_name LIKE 'stockctl db%'
"""


@pytest.fixture
def busy(bench: Bench) -> Bench:
    bench.query("CREATE TABLE busy (id int, name text)")
    return bench


def until_it_waits(bench: Bench, running: Future[list[str]]) -> None:
    deadline = time.monotonic() + 20
    while not bench.query(WAITING):
        assert time.monotonic() < deadline and not running.done()
        time.sleep(0.02)


@on_each_postgres
def test_an_index_says_for_whom_it_waits(busy: Bench) -> None:
    busy.write("0001_i", INDEX)
    said: list[str] = []
    with busy.database.connect() as other:
        other.execute("SET application_name = 'a long report'")
        other.execute("BEGIN; INSERT INTO busy VALUES (1)")

        def release(event: Event) -> None:
            if isinstance(event, Message):
                said.append(event.text)
                other.execute("COMMIT")

        busy.report = release
        assert busy.migrate(lock_timeout_s=0.1) == ["0001_i"]
        pid = other.info.backend_pid
    assert said == [f"  0001_i waits for a lock, held by a long report (process {pid})"]
    assert busy.query(VALID) == [(True,)]


@on_each_postgres
def test_an_index_that_waits_keeps_nobody_waiting(busy: Bench) -> None:
    """Why its wait is not cut short: others read and write meanwhile."""
    busy.write("0001_i", INDEX)
    with ThreadPoolExecutor(1) as pool, busy.database.connect() as other:
        other.execute("BEGIN; INSERT INTO busy VALUES (1)")
        running = pool.submit(busy.migrate, lock_timeout_s=0.1)
        until_it_waits(busy, running)
        with busy.database.connect() as third:
            third.execute("SET lock_timeout = '1s'")
            third.execute("INSERT INTO busy VALUES (2)")
            assert third.execute("SELECT count(*) FROM busy").fetchone() == (1,)
        other.execute("COMMIT")
        assert running.result() == ["0001_i"]


@on_each_postgres
def test_an_index_that_ran_out_of_time_says_for_whom_it_waited(busy: Bench) -> None:
    busy.write("0001_i", INDEX)
    with busy.database.connect() as other:
        other.execute("SET application_name = 'a long report'")
        other.execute("BEGIN; INSERT INTO busy VALUES (1)")
        with pytest.raises(MigrationFailed, match="statement timeout") as caught:
            busy.migrate(lock_timeout_s=0.1, statement_timeout_s=1.5, lock_retry_s=60)
    assert "(a long report of " in caught.value.details
    assert "It left an invalid index behind: public.busy_name" in caught.value.details
    assert busy.states() == {"0001_i": "dirty"}
    assert busy.migrate() == ["0001_i"]
    assert busy.query(VALID) == [(True,)]


@on_each_postgres
def test_an_index_that_met_another_session_gives_way_and_begins_again(busy: Bench) -> None:
    """A deadlock: the other session waits for the index's lock, and the index for the session."""
    busy.write("0001_i", INDEX)
    with ThreadPoolExecutor(2) as pool, busy.database.connect() as other:
        other.execute("SET deadlock_timeout = '60s'")  # so that it is the index that finds out
        other.execute("BEGIN; INSERT INTO busy VALUES (1)")
        running = pool.submit(busy.migrate, lock_timeout_s=0.1, lock_retry_s=60)
        until_it_waits(busy, running)
        other.execute("LOCK TABLE busy IN SHARE MODE")  # has it once the index has given way
        assert not running.done()
        other.execute("COMMIT")
        assert running.result() == ["0001_i"]
    assert busy.query(VALID) == [(True,)]
    assert busy.states() == {"0001_i": "applied"}


@on_each_postgres
def test_what_is_atomic_all_the_same_is_tried_again(busy: Bench) -> None:
    busy.write("0001_wide", f"{HEAD}ALTER TABLE busy ADD COLUMN wide int;")
    said: list[str] = []
    with busy.database.connect() as other:
        other.execute("BEGIN; SELECT FROM busy")

        def release(event: Event) -> None:
            if isinstance(event, Message):
                said.append(event.text)
                if len(said) == 2:
                    other.execute("COMMIT")

        busy.report = release
        assert busy.migrate(lock_timeout_s=1, lock_retry_s=60) == ["0001_wide"]
    assert "0001_wide waits for a lock, held by" in said[0]
    assert busy.states() == {"0001_wide": "applied"}


@on_each_postgres
def test_what_is_atomic_leaves_nothing_when_it_gives_up(busy: Bench) -> None:
    busy.write("0001_wide", f"{HEAD}ALTER TABLE busy ADD COLUMN wide int;")
    with busy.database.connect() as other:
        other.execute("BEGIN; SELECT FROM busy")
        with pytest.raises(MigrationFailed, match="lock timeout") as caught:
            busy.migrate(lock_timeout_s=1, lock_retry_s=0.1)
        pid = other.info.backend_pid
    assert f"held by process {pid}" in caught.value.details
    assert busy.states() == {"0001_wide": "pending"}


@on_each_postgres
@pytest.mark.parametrize(
    "statement", ["CALL twice();", "VACUUM FULL busy, locked;"], ids=["call", "vacuum"]
)
def test_what_may_have_done_something_is_not_tried_again(busy: Bench, statement: str) -> None:
    busy.query("CREATE TABLE locked (id int)")
    body = "BEGIN INSERT INTO busy VALUES (1); COMMIT; LOCK TABLE locked; END"
    busy.query(f"CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$ {body} $$")
    busy.write("0001_x", f"{HEAD}{statement}")
    with busy.database.connect() as other:
        other.execute("BEGIN; LOCK TABLE locked")
        with pytest.raises(MigrationFailed, match="lock timeout") as caught:
            busy.migrate(lock_timeout_s=1, lock_retry_s=60)
        pid = other.info.backend_pid
    assert f"held by process {pid}" in caught.value.details
    assert "0001_x is dirty now" in caught.value.hint
    assert busy.states() == {"0001_x": "dirty"}
    if statement.startswith("CALL"):
        assert busy.query("SELECT count(*) FROM busy") == [(1,)]


@on_each_postgres
def test_a_down_script_outside_a_transaction_is_tried_again(busy: Bench) -> None:
    down = f"{HEAD}ALTER TABLE busy DROP COLUMN wide;"
    busy.write("0001_wide", f"{HEAD}ALTER TABLE busy ADD COLUMN wide int;", down)
    busy.migrate()
    with busy.database.connect() as other:
        other.execute("BEGIN; SELECT FROM busy")

        def release(event: Event) -> None:
            if isinstance(event, Message):
                with suppress(psycopg.Error):
                    other.execute("COMMIT")

        busy.report = release
        assert busy.rollback(lock_timeout_s=1, lock_retry_s=60) == ["0001_wide"]
    assert busy.states() == {"0001_wide": "pending"}
