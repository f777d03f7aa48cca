"""Backups that are made within one second are still one after the other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.integration.backup.conftest import HOLDER, Bench

from stockctl.backup.create import CreateOptions, create
from stockctl.core.clock import SystemClock


class Standing(SystemClock):
    """Shows the same time for ever."""

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 3, 0, 0, 500_000, tzinfo=UTC)


def test_the_latest_is_the_one_that_was_made_last(bench: Bench) -> None:
    ports: dict[str, Any] = bench.ports() | {"clock": Standing()}
    bench.fill(10)
    made = []
    for _ in range(6):
        made.append(create(bench.database, bench.store, CreateOptions("prod", HOLDER), **ports))
        assert bench.catalogue().backups[0].id == made[-1].id
    assert [each.id for each in bench.catalogue().backups] == [each.id for each in made[::-1]]
    assert len({each.created_at for each in made}) == 1
