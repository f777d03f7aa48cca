"""A lock that another session holds: tried for again, given way to, and named."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from tests.integration.db.conftest import Bench
from tests.servers import on_each_postgres

from stockctl.core.clock import SystemClock
from stockctl.core.errors import Locked, MigrationFailed
from stockctl.core.progress import Event, Message, StepEnded
from stockctl.db.lock import LOCK_KEY

CANARY = "s3cr3t-v4lue"
HOLD = f"BEGIN; SELECT FROM busy WHERE name = '{CANARY}' OR id = 4711"
WIDER = "CREATE TABLE beside ();\nALTER TABLE busy ADD COLUMN wide int;"


@dataclass
class Pauses(SystemClock):
    """Runs a check instead of sleeping."""

    bench: Bench
    held: list[tuple[object, ...]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.held += self.bench.query(
            "SELECT l.relation::regclass::text, l.mode FROM pg_locks l JOIN pg_stat_activity a"
            " USING (pid) WHERE a.application_name LIKE 'stockctl db%%' AND relation IS NOT NULL"
            " AND a.datname = current_database() AND l.relation::regclass::text = 'busy'"
        )


@pytest.fixture
def busy(bench: Bench) -> Bench:
    bench.query("CREATE TABLE busy (id int, name text)")
    bench.write("0001_wider", WIDER, "ALTER TABLE busy DROP COLUMN wide; DROP TABLE beside;")
    return bench


@on_each_postgres
def test_it_is_tried_again_until_the_lock_is_free(busy: Bench) -> None:
    said: list[str] = []
    with busy.database.connect() as other:
        other.execute("SET application_name = 'a long report'")
        other.execute(HOLD)

        def release(event: Event) -> None:
            if isinstance(event, Message):
                said.append(event.text)
                if len(said) == 2:
                    other.execute("COMMIT")

        busy.report = release
        assert busy.migrate(lock_timeout_s=0.2, lock_retry_s=60) == ["0001_wider"]
        pid = other.info.backend_pid
    assert said[0].startswith(
        f"  0001_wider waits for a lock, held by a long report (process {pid}); try 2 in 0."
    )
    assert busy.states() == {"0001_wider": "applied"}


@on_each_postgres
def test_in_between_nobody_waits_behind_it(busy: Bench) -> None:
    """A waiting ALTER TABLE keeps later readers out: so it must be gone during the pauses."""
    clock = Pauses(busy)
    busy.clock = clock
    with busy.database.connect() as other:
        other.execute(HOLD)
        with pytest.raises(MigrationFailed):
            busy.migrate(lock_timeout_s=0.05, lock_retry_s=1)
    assert len(clock.pauses) > 1
    assert clock.held == []
    assert busy.query("SELECT to_regclass('beside')") == [(None,)]


@on_each_postgres
def test_in_the_end_those_who_hold_it_are_named(busy: Bench) -> None:
    with busy.database.connect() as other:
        other.execute("SET application_name = 'a long report'")
        other.execute(HOLD)
        with pytest.raises(MigrationFailed, match=r"lock timeout \(\d+ tries in ") as caught:
            busy.migrate(lock_timeout_s=0.2, lock_retry_s=1.5)
        pid = other.info.backend_pid
    error = caught.value
    held = next(line for line in error.details.splitlines() if line.startswith("held by"))
    who = "a long report of postgres, idle in transaction"
    assert held.startswith(f"held by process {pid} ({who})")
    assert ", since 20" in held
    assert held.endswith("SELECT FROM busy WHERE name = ? OR id = ?")
    assert CANARY not in f"{error}{error.details}{error.hint}"
    assert (error.exit_code, error.where and error.where.line) == (7, 2)
    assert "pg_terminate_backend" in error.hint
    assert busy.states() == {"0001_wider": "pending"}


@on_each_postgres
def test_a_rollback_is_as_patient(busy: Bench) -> None:
    busy.migrate()
    with busy.database.connect() as other:
        other.execute(HOLD)

        def release(event: Event) -> None:
            if isinstance(event, Message) and "the rehearsal waits for a lock" in event.text:
                other.execute("COMMIT")

        busy.report = release
        assert busy.rollback(lock_timeout_s=0.2, lock_retry_s=60) == ["0001_wider"]
    assert busy.states() == {"0001_wider": "pending"}


def test_another_failure_is_not_tried_again(busy: Bench) -> None:
    clock = Pauses(busy)
    busy.clock = clock
    busy.write("0001_wider", "SELECT 1/0;")
    with pytest.raises(MigrationFailed, match="division by zero"):
        busy.migrate(lock_retry_s=60)
    assert clock.pauses == []


@on_each_postgres
def test_a_file_that_lets_go_of_the_lock_lets_nobody_in_between(busy: Bench) -> None:
    """pg_advisory_unlock_all ends the session's lock. Each transaction takes one of its own, and
    does nothing where somebody else was faster."""
    busy.write("0001_wider", "SELECT pg_advisory_unlock_all();")
    busy.write("0002_next", "CREATE TABLE next ();")
    with busy.database.connect() as other:

        def intrude(event: Event) -> None:
            if isinstance(event, StepEnded) and event.name == "apply 0001_wider":
                other.execute("SET application_name = 'the other one'")
                got = other.execute("SELECT pg_try_advisory_lock(%s::int, %s::int)", LOCK_KEY)
                assert got.fetchone() == (True,)

        busy.report = intrude
        with pytest.raises(Locked, match="the other one is migrating this database"):
            busy.migrate()
        assert busy.states() == {"0001_wider": "applied", "0002_next": "pending"}
    assert busy.migrate() == ["0002_next"]
