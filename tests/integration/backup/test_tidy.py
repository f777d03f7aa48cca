"""What restores leave is dropped, and nothing else: each of these looks at what is there after."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.integration.backup.conftest import HOLDER
from tests.integration.backup.kills import killed
from tests.integration.backup.test_table import back

from stockctl.backup.remnants import Kind, Remnant
from stockctl.backup.swap import Mark
from stockctl.backup.tidy import TidyPlan, judged, plan_tidy, tidy
from stockctl.core.errors import DatabaseFailed, Locked, Refused

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def planned(bench: Any) -> TidyPlan:
    return plan_tidy(bench.database, "prod", datetime.now(UTC))


def carry_out(bench: Any, plan: TidyPlan) -> list[str]:
    ports = bench.ports()
    del ports["clock"]
    gone = tidy(plan, bench.database, bench.store, lock_holder=HOLDER, **ports)
    return [each.name for each in gone]


def make(bench: Any, name: str, mark: Mark | None) -> None:
    with bench.database.to("postgres").connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        if mark:
            connection.execute(f"COMMENT ON DATABASE {name} IS '{mark.text()}'".encode())


def test_all_that_restores_left_goes_and_nothing_else(bench: Any) -> None:
    live = bench.database.dsn.database
    bench.fill(10)
    backup = bench.create()
    first = bench.restore().previous_database
    back(bench, "item", backup)
    killed(bench, "restore", "StepStarted fingerprint")
    foreign, others = f"{live}_before_20200101t000000z", f"{live}_of_another"
    make(bench, foreign, None)
    make(bench, others, Mark("kept", "another", backup.id))
    plan = planned(bench)
    found = {each.remnant.name: each.remnant for each in plan.remove}
    (unfinished,) = (name for name, each in found.items() if each.kind is Kind.UNFINISHED)
    assert found.keys() == {first, "public.item_restored", unfinished}
    for each in found.values():
        assert (each.size_bytes or 0) > 0
        assert 0 <= (each.age_s(datetime.now(UTC)) or -1) < 60, each
    assert plan.ends_undo
    assert set(bench.databases()) == {live, first, unfinished, foreign, others}

    assert set(carry_out(bench, plan)) == found.keys()
    assert bench.databases().keys() == {live, foreign, others}
    assert bench.items() == 10
    assert bench.run("SELECT to_regclass('item_restored')") == [(None,)]
    assert planned(bench).remove == ()
    with pytest.raises(Refused, match="no restore has replaced"):
        bench.undo()


def test_while_somebody_restores_nothing_goes(bench: Any) -> None:
    bench.fill(10)
    bench.create()
    bench.restore()
    before, plan = bench.databases(), planned(bench)
    with bench.store.lock("prod", HOLDER), pytest.raises(Locked):
        carry_out(bench, plan)
    assert bench.databases() == before


def test_what_an_interrupted_undo_was_bringing_back_stays(bench: Any) -> None:
    bench.fill(10)
    bench.create()
    bench.run("INSERT INTO item VALUES (0, 'later')")
    bench.restore()
    early = planned(bench)
    killed(bench, "undo", "Line")
    assert set(bench.databases().values()) == {False}  # the live one is closed, too
    plan = planned(bench)
    assert (plan.remove, len(plan.keep), plan.undo_after) == ((), 1, True)
    assert carry_out(bench, plan) == []
    assert set(bench.databases().values()) == {True}
    later = bench.undo()
    assert bench.items() == 11
    # a plan from before the swap names what is live now; the name has another database behind it
    assert carry_out(bench, early) == []
    assert bench.databases().keys() == {later.database, later.previous_database}
    assert bench.items() == 11


def test_one_that_somebody_is_in_stays(bench: Any) -> None:
    bench.fill(10)
    bench.create()
    name = bench.restore().previous_database
    plan = planned(bench)
    with (
        bench.database.to(name).connect(),
        pytest.raises(DatabaseFailed, match="is in use") as caught,
    ):
        carry_out(bench, plan)
    assert "pid " in caught.value.details
    assert name in bench.databases()
    assert carry_out(bench, plan) == [name]


def test_without_a_live_database_the_kept_one_may_be_all_there_is(bench: Any) -> None:
    bench.fill(10)
    bench.create()
    name, plan = bench.restore().previous_database, planned(bench)
    live = bench.database.dsn.database
    with bench.database.to("postgres").connect() as connection:
        connection.execute(f"ALTER DATABASE {live} RENAME TO {live}_lost".encode())
    try:
        for act in (lambda: planned(bench), lambda: carry_out(bench, plan)):
            with pytest.raises(Refused, match="there is no database"):
                act()
        assert name in bench.databases()
    finally:
        with bench.database.to("postgres").connect() as connection:
            connection.execute(f"ALTER DATABASE {live}_lost RENAME TO {live}".encode())


def test_only_what_is_old() -> None:
    old = Remnant("a", Kind.KEPT, 1, NOW - timedelta(days=8))
    young = replace(old, name="b", made_at=NOW - timedelta(days=6))
    undated = replace(old, name="c", made_at=None)
    plan = judged("prod", "a", (old, young, undated), NOW, timedelta(days=7).total_seconds())
    assert [each.remnant.name for each in plan.remove] == ["a"]
    assert [each.remnant.name for each in plan.keep] == ["b", "c"]
    assert plan.undo_after
