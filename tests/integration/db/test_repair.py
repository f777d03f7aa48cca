"""`db repair`: a person says how it is, and the database is asked where it knows better."""

from __future__ import annotations

import pytest
from tests.integration.db.conftest import Bench
from tests.servers import on_each_postgres

from stockctl.core.errors import MigrationFailed, Refused, UsageError
from stockctl.db.ledger import Status, read_status
from stockctl.db.lock import LOCK_KEY
from stockctl.db.migration import read_migrations
from stockctl.db.repair import As, Repair, plan_repair, repair, repairable

LEDGER = (
    "SELECT (SELECT count(*) FROM _yoyo_migration),"
    " (SELECT array_agg(state) FROM _stockctl_migrations)"
)
HALF = "-- transactional: false\nCALL half();"


def status(bench: Bench) -> Status:
    return read_status(bench.database, read_migrations(bench.folder))


def planned(bench: Bench, wanted: str, choice: As) -> Repair:
    return plan_repair(status(bench), read_migrations(bench.folder), wanted, choice)


def mend(bench: Bench, wanted: str, choice: As, wait_s: float = 20) -> None:
    plan = planned(bench, wanted, choice)
    repair(bench.database, plan, read_migrations(bench.folder), lock_wait_s=wait_s)


@pytest.fixture
def half(bench: Bench) -> Bench:
    """0001 is dirty: a procedure that commits a part of its work and fails. 0002 waits."""
    bench.query("CREATE TABLE precious (id int)")
    bench.query(
        "CREATE PROCEDURE half() LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO precious VALUES (1); COMMIT; PERFORM 1/0; END $$"
    )
    bench.write("0001_half", HALF, "DELETE FROM precious;")
    bench.write("0002_next", "CREATE TABLE next ();", "DROP TABLE next;")
    with pytest.raises(MigrationFailed):
        bench.migrate()
    assert bench.states()["0001_half"] == "dirty"
    return bench


@on_each_postgres
def test_dirty_as_applied_is_applied_once(half: Bench) -> None:
    mend(half, "0001", As.APPLIED)
    assert half.query(LEDGER) == [(1, ["applied"])]
    assert half.migrate() == ["0002_next"]
    assert half.query("SELECT count(*) FROM precious") == [(1,)]


def test_dirty_as_reverted_is_pending(half: Bench) -> None:
    half.query("DELETE FROM precious")
    mend(half, "0001", As.REVERTED)
    assert half.states() == {"0001_half": "pending", "0002_next": "pending"}


@pytest.mark.parametrize(("choice", "state"), [(As.APPLIED, "applied"), (As.REVERTED, "pending")])
def test_a_down_script_that_began(bench: Bench, choice: As, state: str) -> None:
    bench.write("0001_a", "-- transactional: false\nVACUUM;", "-- transactional: false\nVACUUM;")
    bench.migrate()
    bench.query("UPDATE _stockctl_migrations SET state = 'reverting'")
    assert bench.states() == {"0001_a": "dirty"}
    mend(bench, "0001", choice)
    assert bench.states() == {"0001_a": state}
    [(marks, _)] = bench.query(LEDGER)
    assert marks == (1 if choice is As.APPLIED else 0)


@on_each_postgres
def test_changed_as_accepted_keeps_when_and_by_whom(bench: Bench) -> None:
    bench.write("0001_a", "CREATE TABLE a ();", "DROP TABLE a;")
    bench.migrate()
    query = "SELECT applied_at, applied_by, duration_s FROM _stockctl_migrations"
    before = bench.query(query)
    bench.write(
        "0001_a", "-- a table, ON CONFLICT of opinions\nCREATE TABLE a ();", "DROP TABLE a;"
    )
    assert bench.states() == {"0001_a": "changed"}
    mend(bench, "0001_a", As.ACCEPTED)
    assert bench.states() == {"0001_a": "applied"}
    assert bench.query(query) == before
    assert bench.query("SELECT up LIKE '%%opinions%%' FROM _stockctl_migrations") == [(True,)]


@on_each_postgres
def test_missing_as_reverted_is_forgotten_and_nothing_is_run(bench: Bench) -> None:
    bench.write("0001_a", "CREATE TABLE a ();", "DROP TABLE a;")
    bench.migrate()
    for path in bench.folder.iterdir():
        path.unlink()
    mend(bench, "0001_a", As.REVERTED)
    assert bench.states() == {}
    assert bench.query(LEDGER) == [(0, None)]
    assert bench.query("SELECT to_regclass('a') IS NOT NULL") == [(True,)]


def test_without_checksum_as_accepted_has_one(bench: Bench) -> None:
    bench.write("0001_a", "CREATE TABLE a ();")
    bench.migrate()
    bench.query("DROP TABLE _stockctl_migrations")
    [(entry, _)] = repairable(status(bench))
    assert "without checksum" in entry.advice
    mend(bench, "0001_a", As.ACCEPTED)
    assert repairable(status(bench)) == ()
    bench.write("0001_a", "CREATE TABLE a (id int);")
    assert bench.states() == {"0001_a": "changed"}


@on_each_postgres
@pytest.mark.parametrize("choice", [As.APPLIED, As.REVERTED])
def test_an_invalid_index_is_neither_there_nor_gone(bench: Bench, choice: As) -> None:
    bench.query("CREATE TABLE precious (id int)")
    bench.query("INSERT INTO precious VALUES (1), (1)")
    sql = "-- transactional: false\nCREATE UNIQUE INDEX CONCURRENTLY one ON precious (id);"
    bench.write("0001_one", sql, "DROP INDEX one;")
    with pytest.raises(MigrationFailed):
        bench.migrate()
    with pytest.raises(Refused, match=r"the index public\.one is invalid"):
        mend(bench, "0001", choice)
    assert bench.states() == {"0001_one": "dirty"}


def test_what_does_not_fit_says_what_would(half: Bench) -> None:
    with pytest.raises(UsageError, match="--as accepted does not fit") as caught:
        planned(half, "0001", As.ACCEPTED)
    assert "--as applied: its statement took effect, all of it" in caught.value.hint
    with pytest.raises(Refused, match="0002_next is pending: there is nothing to repair"):
        planned(half, "0002", As.APPLIED)
    with pytest.raises(UsageError, match="no migration '0009'"):
        planned(half, "0009", As.APPLIED)


def test_a_plan_that_is_no_longer_true_is_refused(half: Bench) -> None:
    plan = planned(half, "0001", As.APPLIED)
    mend(half, "0001", As.REVERTED)
    with pytest.raises(Refused, match="has changed since"):
        repair(half.database, plan, read_migrations(half.folder))
    assert half.states()["0001_half"] == "pending"


def test_not_while_somebody_migrates(half: Bench) -> None:
    from stockctl.core.errors import Locked

    with half.database.connect() as other:
        other.execute("SELECT pg_advisory_lock(%s::int, %s::int)", LOCK_KEY)
        with pytest.raises(Locked):
            mend(half, "0001", As.REVERTED, wait_s=0)


def test_out_of_order_is_refused_unless_allowed(bench: Bench) -> None:
    bench.write("0002_b", "CREATE TABLE b ();")
    bench.migrate()
    bench.write("0001_a", "CREATE TABLE a ();")
    with pytest.raises(Refused) as caught:
        bench.migrate()
    assert "--allow-out-of-order" in caught.value.details
    assert bench.migrate(allow_out_of_order=True) == ["0001_a"]
    assert bench.states() == {"0001_a": "applied", "0002_b": "applied"}
