"""Status and plans are pure: files and records in, what would happen out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stockctl.core.errors import Refused, UsageError
from stockctl.db.ledger import State, Status, compare
from stockctl.db.loss import Column, Target, dropped
from stockctl.db.migration import Migration, Phase
from stockctl.db.plan import plan_migrate, plan_rollback
from stockctl.db.record import Record, Stage


def migration(identity: str, phase: Phase = Phase.EXPAND, *depends: str) -> Migration:
    path, down = Path(f"m/{identity}.sql"), Path(f"m/{identity}.rollback.sql")
    return Migration(
        identity, path, "up", "down", down, phase, True, None, depends, f"sum of {identity}"
    )


def record(identity: str) -> Record:
    return Record(
        id=identity,
        marked=True,
        stage=Stage.APPLIED,
        checksum=f"sum of {identity}",
        phase="expand",
        transactional=True,
        irreversible=None,
        down="kept",
        running=None,
        applied_at=datetime(2026, 11, 22, tzinfo=UTC),
        applied_by="me@here",
    )


A, B, C = migration("0001_a"), migration("0002_b"), migration("0003_c")
CONTRACT = migration("0002_b", Phase.CONTRACT)


def states(status: Status) -> list[State]:
    return [entry.state for entry in status.entries]


def test_the_states() -> None:
    edited = replace(record("0002_b"), checksum="another")
    status = compare((B, C), (record("0001_a"), edited, record("0004_d")))
    assert states(status) == [State.MISSING, State.CHANGED, State.OUT_OF_ORDER, State.MISSING]
    assert status.head == "0004_d"
    assert len(status.blocking) == 4
    assert all(entry.advice for entry in status.blocking)


def test_a_contract_migration_may_stay_behind() -> None:
    status = compare((A, CONTRACT, C), (record("0001_a"), record("0003_c")))
    assert states(status) == [State.APPLIED, State.PENDING, State.APPLIED]
    assert plan_migrate(status, (A, CONTRACT, C), to=None, phase=None).migrations == (CONTRACT,)


def test_a_late_expand_migration_is_out_of_order() -> None:
    status = compare((A, B, C), (record("0001_a"), record("0003_c")))
    with pytest.raises(Refused) as caught:
        plan_migrate(status, (A, B, C), to=None, phase=None)
    assert caught.value.details.startswith("0002_b: out_of_order: give it a number after 0003_c")


def test_all_that_is_pending_up_to_one() -> None:
    files = (A, B, C)
    status = compare(files, (record("0001_a"),))
    assert plan_migrate(status, files, to=None, phase=None).migrations == (B, C)
    assert plan_migrate(status, files, to="0002", phase=None).migrations == (B,)
    assert plan_migrate(status, files, to="0001_a", phase=None).migrations == ()
    with pytest.raises(UsageError) as caught:
        plan_migrate(status, files, to="0002_bb", phase=None)
    assert caught.value.hint == "Did you mean 0002_b?"


def test_expand_leaves_contract_behind() -> None:
    files = (A, CONTRACT, C)
    plan = plan_migrate(compare(files, ()), files, to=None, phase=Phase.EXPAND)
    assert plan.migrations == (A, C)
    assert [waiting.id for waiting in plan.waiting] == ["0002_b"]


def test_what_needs_something_that_is_left_behind_is_refused() -> None:
    files = (A, CONTRACT, migration("0003_c", Phase.EXPAND, "0002_b"))
    with pytest.raises(Refused, match=r"0003_c \(expand\) comes after 0002_b \(contract\)"):
        plan_migrate(compare(files, ()), files, to=None, phase=Phase.EXPAND)


def test_a_contract_migration_does_not_overtake_an_expand_one() -> None:
    files = (A, CONTRACT)
    with pytest.raises(Refused) as caught:
        plan_migrate(compare(files, ()), files, to=None, phase=Phase.CONTRACT)
    assert "--phase expand" in caught.value.hint


def test_rollback_goes_by_the_order_of_application() -> None:
    files = (A, CONTRACT, C)
    status = compare(files, (record("0001_a"), record("0003_c"), record("0002_b")))
    plan = plan_rollback(status, files, steps=None, to=None)
    assert [each.id for each in plan.reversals] == ["0002_b"]
    plan = plan_rollback(status, files, steps=None, to="0001")
    assert [each.id for each in plan.reversals] == ["0002_b", "0003_c"]
    assert plan_rollback(status, files, steps=9, to=None).reversals[-1].id == "0001_a"
    assert plan_rollback(status, files, steps=None, to="0002_b").reversals == ()


@pytest.mark.parametrize(("steps", "to"), [(0, None), (-1, None), (1, "0001_a"), (None, "0009")])
def test_rollback_does_not_guess(steps: int | None, to: str | None) -> None:
    with pytest.raises(UsageError):
        plan_rollback(compare((A,), (record("0001_a"),)), (A,), steps=steps, to=to)


def test_the_copy_that_was_kept_is_for_files_that_are_gone_or_were_edited() -> None:
    def down(*files: Migration) -> str:
        status = compare(files, (record("0001_a"),))
        return plan_rollback(status, files, steps=None, to=None).reversals[0].down

    assert down(A) == "down"
    assert down() == "kept"
    assert down(replace(A, checksum="edited")) == "kept"


def test_no_way_back_says_why() -> None:
    files = (replace(A, down=None, down_path=None, irreversible="it deletes"),)
    status = compare(files, (replace(record("0001_a"), down=None),))
    with pytest.raises(Refused, match="0001_a cannot be rolled back: it deletes"):
        plan_rollback(status, files, steps=None, to=None)


def test_dropped_tables_and_columns() -> None:
    kept, gone = Column(1, 1, "s", "t", "id"), Column(1, 2, "s", "t", "x")
    other = (Column(2, 1, "s", "u", "a"), Column(2, 2, "s", "u", "b"))
    renamed = replace(kept, table="renamed")
    assert dropped((kept, gone, *other), (renamed,)) == (Target("s", "t", "x"), Target("s", "u"))
