"""Killed, interrupted, two at once, and what cannot run in a transaction."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.children import untraced
from tests.servers import on_each_postgres

from stockctl.core.clock import SystemClock
from stockctl.core.errors import Locked, MigrationFailed, Refused
from stockctl.core.progress import Progress, silent
from stockctl.db.ledger import State, Status, read_status
from stockctl.db.lock import LOCK_KEY
from stockctl.db.migration import read_migrations
from stockctl.db.repair import As, plan_repair, repair
from stockctl.db.runner import migrate, plan_migrate, plan_rollback, rollback
from stockctl.system.postgres import Database

_CHILD = """
import signal, sys
from pathlib import Path
from stockctl.core.clock import SystemClock
from stockctl.core.errors import Terminated
from stockctl.core.progress import Progress, silent
from stockctl.core.secret import Secret
from stockctl.db.ledger import read_status
from stockctl.db.migration import read_migrations
from stockctl.db.repair import As, plan_repair, repair
from stockctl.db.runner import migrate, plan_migrate
from stockctl.system.postgres import ClientTools, Database, Dsn

def terminated(*_):
    raise Terminated

signal.signal(signal.SIGTERM, terminated)
host, port, user, name, folder = sys.argv[1:]
database = Database(Dsn(host, int(port), user, Secret(""), name), ClientTools())
migrations = read_migrations(Path(folder))
plan = plan_migrate(read_status(database, migrations), migrations, to=None, phase=None)
migrate(database, plan, progress=Progress(silent, SystemClock()), lock_timeout_s=2,
        statement_timeout_s=60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, name: str, up: str, down: str = "SELECT 1;") -> None:
    (folder / f"{name}.sql").write_text(up)
    (folder / f"{name}.rollback.sql").write_text(down)


def status_of(database: Database, folder: Path) -> Status:
    return read_status(database, read_migrations(folder))


def states(database: Database, folder: Path) -> list[State]:
    return [entry.state for entry in status_of(database, folder).entries]


def run(
    database: Database, folder: Path, wait_s: float = 20, lock_timeout_s: float = 2
) -> list[str]:
    migrations = read_migrations(folder)
    plan = plan_migrate(read_status(database, migrations), migrations, to=None, phase=None)
    done = migrate(
        database,
        plan,
        progress=Progress(silent, SystemClock()),
        lock_timeout_s=lock_timeout_s,
        statement_timeout_s=60,
        lock_wait_s=wait_s,
    )
    return [each.id for each in done]


def run_back(database: Database, folder: Path) -> list[str]:
    migrations = read_migrations(folder)
    plan = plan_rollback(read_status(database, migrations), migrations, steps=None, to=None)
    done = rollback(
        database,
        plan,
        progress=Progress(silent, SystemClock()),
        allow_data_loss=False,
        lock_timeout_s=2,
        statement_timeout_s=60,
        lock_wait_s=20,
    )
    return [each.id for each in done]


def query(database: Database, text: str, *values: object) -> list[tuple[object, ...]]:
    with database.connect() as connection:
        cursor = connection.execute(text.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def until(holds: Callable[[], bool], within_s: float) -> None:
    """Polls another process; there is nothing here to be told by."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.02)


def sleeping(database: Database) -> bool:
    text = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event = 'PgSleep'"
    )
    return bool(query(database, text))


def lock_is_free(database: Database) -> bool:
    [(got,)] = query(database, "SELECT pg_try_advisory_lock(%s::int, %s::int)", *LOCK_KEY)
    return got is True


@contextmanager
def child_in_the_middle(database: Database, folder: Path) -> Iterator[subprocess.Popen[str]]:
    dsn = database.dsn
    write(folder, "0001_slow", "CREATE TABLE slow ();\nSELECT pg_sleep(30);", "DROP TABLE slow;")
    arguments = [dsn.host, str(dsn.port), dsn.user, dsn.database, str(folder)]
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=untraced(),
    )
    try:
        until(lambda: sleeping(database), within_s=20)
        yield child
    finally:
        child.kill()
        child.communicate()


@on_each_postgres
def test_killed_in_the_middle_leaves_nothing(database: Database, folder: Path) -> None:
    with child_in_the_middle(database, folder) as child:
        assert not lock_is_free(database)
        child.kill()
        child.wait()
        until(lambda: lock_is_free(database), within_s=5)
    assert query(database, "SELECT to_regclass('slow')") == [(None,)]
    assert states(database, folder) == [State.PENDING]


@on_each_postgres
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle_leaves_nothing(
    database: Database, folder: Path, number: signal.Signals
) -> None:
    with child_in_the_middle(database, folder) as child:
        child.send_signal(number)
        _, said = child.communicate(timeout=5)
        until(lambda: lock_is_free(database), within_s=0.5)
    assert said.strip().endswith(("KeyboardInterrupt", "Terminated"))
    assert query(database, "SELECT to_regclass('slow')") == [(None,)]
    assert states(database, folder) == [State.PENDING]


@on_each_postgres
def test_the_holder_of_the_lock_is_named(database: Database, folder: Path) -> None:
    with child_in_the_middle(database, folder) as child, pytest.raises(Locked) as caught:
        run(database, folder, wait_s=0)
    assert child.returncode == -signal.SIGKILL
    assert "stockctl db (" in str(caught.value)
    assert "from a local socket" in str(caught.value)


@on_each_postgres
def test_two_at_once_apply_once(database: Database, folder: Path) -> None:
    for number in range(1, 6):
        write(folder, f"{number:04d}_t", f"CREATE TABLE t{number} (); SELECT pg_sleep(0.05);")
    start = threading.Barrier(2)

    def one() -> list[str]:
        migrations = read_migrations(folder)
        plan = plan_migrate(read_status(database, migrations), migrations, to=None, phase=None)
        start.wait()
        done = migrate(
            database,
            plan,
            progress=Progress(silent, SystemClock()),
            lock_timeout_s=2,
            statement_timeout_s=60,
        )
        return [each.id for each in done]

    with ThreadPoolExecutor(2) as pool:
        results = sorted(len(each.result()) for each in (pool.submit(one), pool.submit(one)))
    assert results == [0, 5]


def test_two_rollbacks_at_once_take_one_step(database: Database, folder: Path) -> None:
    for number in (1, 2):
        write(folder, f"{number:04d}_t", "SELECT 1;")
    run(database, folder)
    migrations = read_migrations(folder)
    plan = plan_rollback(read_status(database, migrations), migrations, steps=1, to=None)
    assert run_back(database, folder) == ["0002_t"]
    again = rollback(
        database,
        plan,
        progress=Progress(silent, SystemClock()),
        allow_data_loss=False,
        lock_timeout_s=2,
        statement_timeout_s=60,
    )
    assert again == ()
    assert states(database, folder) == [State.APPLIED, State.PENDING]


def test_a_plan_that_the_database_has_left_behind_is_refused(
    database: Database, folder: Path
) -> None:
    write(folder, "0001_t", "SELECT 1;")
    run(database, folder)
    migrations = read_migrations(folder)
    plan = plan_rollback(read_status(database, migrations), migrations, steps=1, to=None)
    write(folder, "0002_t", "SELECT 1;")
    run(database, folder)
    with pytest.raises(Refused, match="has changed since"):
        rollback(
            database,
            plan,
            progress=Progress(silent, SystemClock()),
            allow_data_loss=False,
            lock_timeout_s=2,
            statement_timeout_s=60,
        )


UNIQUE = (
    "-- transactional: false\n"
    'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "one Id" ON public.precious (id);'
)


@pytest.fixture
def precious(database: Database) -> Database:
    """A table that was there before us, with a duplicate."""
    query(database, "CREATE TABLE precious (id int)")
    query(database, "INSERT INTO precious VALUES (1), (1)")
    return database


@on_each_postgres
def test_a_failed_index_is_dirty_and_the_next_run_mends_it(
    precious: Database, folder: Path
) -> None:
    write(folder, "0001_unique", UNIQUE, "DROP TABLE precious;")
    with pytest.raises(MigrationFailed) as caught:
        run(precious, folder)
    assert 'It left an invalid index behind: public."one Id"' in caught.value.details
    assert "stockctl db migrate ENV again" in caught.value.hint
    assert query(precious, "SELECT count(*) FROM precious") == [(2,)]
    assert states(precious, folder) == [State.DIRTY]
    with pytest.raises(Refused, match="cannot roll back"):
        run_back(precious, folder)
    query(precious, "DELETE FROM precious WHERE ctid = (SELECT min(ctid) FROM precious)")
    assert run(precious, folder) == ["0001_unique"]
    assert query(precious, "SELECT indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid"
                 " WHERE relname = 'one Id'") == [(True,)]  # fmt: skip
    assert states(precious, folder) == [State.APPLIED]


@on_each_postgres
def test_if_not_exists_does_not_pass_over_an_invalid_index(
    precious: Database, folder: Path
) -> None:
    with pytest.raises(Exception, match="duplicated"):
        query(precious, UNIQUE)
    write(folder, "0001_unique", UNIQUE)
    with pytest.raises(MigrationFailed, match="is there, but it is invalid"):
        run(precious, folder)
    query(precious, "DELETE FROM precious")
    assert run(precious, folder) == ["0001_unique"]


@on_each_postgres
def test_a_finished_index_that_was_not_recorded_is_recorded(
    precious: Database, folder: Path
) -> None:
    """Killed between the end of the statement and the mark."""
    query(precious, "DELETE FROM precious")
    write(folder, "0001_unique", UNIQUE)
    run(precious, folder)
    query(precious, "DELETE FROM _yoyo_migration")
    query(precious, "UPDATE _stockctl_migrations SET state = 'applying'")
    [(before,)] = query(precious, "SELECT '\"one Id\"'::regclass::oid")
    assert states(precious, folder) == [State.DIRTY]
    assert run(precious, folder) == ["0001_unique"]
    assert query(precious, "SELECT '\"one Id\"'::regclass::oid") == [(before,)]


@on_each_postgres
def test_an_index_that_failed_without_a_trace_is_pending_again(
    precious: Database, folder: Path
) -> None:
    query(precious, 'CREATE INDEX "one Id" ON precious (id)')
    write(folder, "0001_unique", UNIQUE.replace("IF NOT EXISTS ", ""))
    with pytest.raises(MigrationFailed, match="already exists"):
        run(precious, folder)
    assert states(precious, folder) == [State.PENDING]


@on_each_postgres
def test_another_statement_that_failed_needs_a_person(precious: Database, folder: Path) -> None:
    body = "BEGIN INSERT INTO precious VALUES (7); COMMIT; PERFORM 1/0; END"
    query(precious, f"CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$ {body} $$")
    write(folder, "0001_fill", "-- transactional: false\nCALL fill();")
    with pytest.raises(MigrationFailed, match="division by zero") as caught:
        run(precious, folder)
    way_out = "stockctl db repair ENV --migration 0001_fill --as applied|reverted"
    assert way_out in caught.value.hint
    with pytest.raises(Refused) as refused:
        run(precious, folder)
    assert way_out in refused.value.details
    status, files = status_of(precious, folder), read_migrations(folder)
    repair(precious, plan_repair(status, files, "0001", As.REVERTED), files)
    assert states(precious, folder) == [State.PENDING]


def test_a_typing_mistake_outside_a_transaction_is_not_dirty(
    database: Database, folder: Path
) -> None:
    write(folder, "0001_vacuum", "-- transactional: false\nVACUUUM;")
    with pytest.raises(MigrationFailed, match="syntax error"):
        run(database, folder)
    assert states(database, folder) == [State.PENDING]


@on_each_postgres
def test_a_rollback_that_ended_half_way_is_run_again(precious: Database, folder: Path) -> None:
    query(precious, "DELETE FROM precious")
    down = '-- transactional: false\nDROP INDEX CONCURRENTLY IF EXISTS "one Id";'
    write(folder, "0001_unique", UNIQUE, down)
    run(precious, folder)
    query(precious, "UPDATE _stockctl_migrations SET state = 'reverting'")
    assert states(precious, folder) == [State.DIRTY]
    with pytest.raises(Refused, match="cannot migrate"):
        run(precious, folder)
    assert run_back(precious, folder) == ["0001_unique"]
    assert query(precious, "SELECT to_regclass('\"one Id\"')") == [(None,)]
    assert states(precious, folder) == [State.PENDING]


@on_each_postgres
def test_concurrently_waits_longer_than_the_lock_timeout(precious: Database, folder: Path) -> None:
    query(precious, "DELETE FROM precious")
    write(folder, "0001_unique", UNIQUE)
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'"
        " AND clock_timestamp() - query_start > interval '300 ms'"
        " AND datname = current_database()"
    )
    with ThreadPoolExecutor(1) as pool, precious.connect() as other:
        other.execute("BEGIN; INSERT INTO precious VALUES (5)")
        running = pool.submit(run, precious, folder, lock_timeout_s=0.1)
        until(lambda: bool(query(precious, waiting)), within_s=10)
        other.execute("COMMIT")
        assert running.result() == ["0001_unique"]


@on_each_postgres
def test_a_lock_timeout_leaves_nothing_and_says_what_to_do(
    precious: Database, folder: Path
) -> None:
    write(folder, "0001_wide", "CREATE TABLE t ();\nALTER TABLE precious ADD COLUMN b int;")
    with precious.connect() as other:
        other.execute("BEGIN; SELECT FROM precious")
        with pytest.raises(MigrationFailed, match="lock timeout") as caught:
            run(precious, folder, lock_timeout_s=0.1)
    assert caught.value.where and caught.value.where.line == 2
    assert "database.lock_retry" in caught.value.hint
    assert query(precious, "SELECT to_regclass('t')") == [(None,)]
