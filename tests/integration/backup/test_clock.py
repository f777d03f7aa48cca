"""A clock that was ten years ahead for a while: nothing is lost by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.backup.conftest import HOLDER, Bench

from stockctl.backup.catalog import pointer_name
from stockctl.backup.create import CreateOptions, create
from stockctl.backup.manifest import Backup
from stockctl.backup.prune import prune
from stockctl.backup.retention import Drop, Policy, plan_prune
from stockctl.core.clock import SystemClock

TEN_YEARS = timedelta(days=3653)
POLICY = Policy(last=2, daily=7)


class Ahead(SystemClock):
    def now(self) -> datetime:
        return super().now() + TEN_YEARS


def create_ahead(bench: Bench) -> Backup:
    ports: dict[str, Any] = bench.ports() | {"clock": Ahead()}
    return create(bench.database, bench.store, CreateOptions("prod", HOLDER), **ports)


def pruned(bench: Bench, now: datetime) -> tuple[Drop, ...]:
    """What a prune by that clock removes."""
    found = bench.catalogue()
    plan = plan_prune(found.backups, POLICY, now, found.checks)
    ports = {key: bench.ports()[key] for key in ("host", "directory", "progress")}
    return prune(plan, bench.store, environment="prod", lock_holder=HOLDER, **ports)


def test_a_backup_of_a_clock_that_was_ahead(bench: Bench) -> None:
    """It takes nobody's place, and is none that goes; the next one is made and found."""
    bench.fill(10)
    good = [bench.create(), bench.create()]
    ahead = create_ahead(bench)
    assert ahead.created_at > datetime.now(UTC) + TEN_YEARS / 2
    bench.run("DELETE FROM item WHERE id > 5")
    good.append(bench.create())
    assert all(each.backup not in good[-2:] for each in pruned(bench, datetime.now(UTC)))
    latest = bench.store.get(pointer_name("prod")).decode().strip()
    assert latest == good[-1].object
    left = set(bench.catalogue().backups)
    assert {*good[-2:], ahead} <= left
    bench.restore(good[-1].id)
    assert bench.items() == 5
    assert bench.plan("latest").backup == good[-1]
    assert bench.plan("latest").warnings == ()
    (warning,) = bench.plan(ahead.id).warnings
    assert "which is to come" in warning
    bench.restore(ahead.id)
    assert bench.items() == 10


def test_a_prune_by_a_clock_that_is_ahead(bench: Bench) -> None:
    """All are ten years old for it; it keeps what the right clock keeps."""
    bench.fill(10)
    made = {bench.create() for _ in range(3)}
    kept = {each.backup for each in plan_prune(tuple(made), POLICY, datetime.now(UTC)).keep}
    pruned(bench, datetime.now(UTC) + TEN_YEARS)
    assert kept <= set(bench.catalogue().backups)
    bench.restore()
    assert bench.items() == 10
