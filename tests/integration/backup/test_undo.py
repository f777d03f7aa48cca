"""What a restore replaced comes back, whole, whenever the way back is cut short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.integration.backup.kills import killed

from stockctl.backup.pin import set_pinned
from stockctl.backup.properties import describe
from stockctl.backup.prune import prune
from stockctl.backup.retention import Policy, plan_prune
from stockctl.backup.swap import kept
from stockctl.backup.undo import plan_undo
from stockctl.core.errors import BackupInvalid, DatabaseFailed, Refused
from stockctl.core.progress import Event
from stockctl.system.host import Holder

HOLDER = Holder("bert@desk", "backup pin", datetime(2026, 11, 22, 3, tzinfo=UTC))


def restored(bench: Any) -> None:
    """Ten rows were saved; then there was one more, and a restore took it away."""
    bench.run(f"COMMENT ON DATABASE {bench.database.dsn.database} IS 'the one'")
    bench.fill(10)
    bench.create()
    bench.run("INSERT INTO item VALUES (0, 'later')")
    bench.restore()
    assert bench.items() == 10


def live(bench: Any) -> Any:
    with bench.database.to("postgres").connect() as connection:
        return describe(connection, bench.database.dsn.database)


def test_there_and_back_and_there_again(bench: Any) -> None:
    restored(bench)
    before = live(bench)
    first = bench.undo()
    assert bench.items() == 11
    assert live(bench) == before
    assert 0 < first.outage_s < 5
    assert bench.databases() == {first.database: True, first.previous_database: True}
    second = bench.undo()
    assert bench.items() == 10
    assert live(bench).comment == "the one"
    assert second.previous_database != first.previous_database


def test_the_plan_counts_both(bench: Any) -> None:
    restored(bench)
    plan = plan_undo(bench.database, "prod", datetime.now(UTC))
    assert (plan.live_rows, plan.returning_rows) == (10, 11)


def test_nothing_to_undo(bench: Any) -> None:
    with pytest.raises(Refused, match="no restore has replaced"):
        bench.undo()


def at(event_type: str, act: Callable[[], None]) -> Callable[[Event], None]:
    def report(event: Event) -> None:
        if type(event).__name__ == event_type:
            act()

    return report


@pytest.mark.parametrize("point", ["StepStarted swap", "Line"])
def test_killed_before_the_renames(bench: Any, point: str) -> None:
    """At `Line` both databases are closed. The next run opens them, whatever it is."""
    restored(bench)
    killed(bench, "undo", point)
    name = bench.database.dsn.database
    if point == "Line":
        assert set(bench.databases().values()) == {False}
    bench.create()
    assert set(bench.databases().values()) == {True}
    assert bench.items() == 10
    with bench.database.to("postgres").connect() as connection:
        assert len(kept(connection, name)) == 1
    bench.undo()
    assert bench.items() == 11


def test_killed_right_after_the_renames(bench: Any) -> None:
    restored(bench)
    killed(bench, "undo", "StepEnded swap")
    assert bench.items() == 11
    bench.create()
    assert set(bench.databases().values()) == {True}


def test_interrupted(bench: Any) -> None:
    restored(bench)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.on(at("Line", interrupt)).undo()
    assert bench.items() == 10
    assert set(bench.databases().values()) == {True}
    assert live(bench).comment == "the one"


def test_a_kept_one_that_is_gone(bench: Any) -> None:
    restored(bench)
    (name,) = set(bench.databases()) - {bench.database.dsn.database}

    def drop() -> None:
        bench.run(f'DROP DATABASE IF EXISTS "{name}"')

    with pytest.raises((Refused, DatabaseFailed)):
        bench.on(at("StepStarted", drop)).undo()
    assert bench.items() == 10
    assert bench.databases() == {bench.database.dsn.database: True}


def pinned(bench: Any, backup: Any, value: bool) -> Any:
    ports = {k: v for k, v in bench.ports().items() if k in ("host", "directory")}
    return set_pinned(backup, bench.store, pinned=value, lock_holder=HOLDER, **ports)


def test_what_is_pinned_after_the_plan_was_made_stays(bench: Any) -> None:
    bench.fill(1)
    old, new = bench.create(), bench.create()
    later = replace(new, created_at=old.created_at.replace(year=2027))
    plan = plan_prune((old, later), Policy(last=1), later.created_at)
    assert [drop.backup for drop in plan.remove] == [old]
    assert pinned(bench, old, True).pinned
    ports = {k: v for k, v in bench.ports().items() if k != "clock"}
    assert prune(plan, bench.store, lock_holder=HOLDER, **ports) == ()
    assert replace(old, pinned=True) in bench.catalogue().backups
    assert pinned(bench, old, False) == old


def test_what_is_gone_cannot_be_pinned(bench: Any) -> None:
    bench.fill(1)
    backup = bench.create()
    bench.store.put(backup.manifest, b"{}")
    with pytest.raises(BackupInvalid):
        pinned(bench, backup, True)
