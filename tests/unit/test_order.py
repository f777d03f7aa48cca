"""How the tests of a run are dealt to its workers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.order import cost, dealt

FILES = {
    "tests/contract/test_hosts.py": 120,
    "tests/e2e/far/test_data.py": 3,
    "tests/e2e/far/test_whole.py": 5,
    "tests/e2e/rolling/test_kills.py": 4,
    "tests/e2e/test_failures.py": 14,
    "tests/e2e/test_watch.py": 2,
    "tests/integration/backup/test_swap.py": 50,
    "tests/unit/core/test_redact.py": 500,
    "tests/unit/env/test_load.py": 1002,
}


def collected() -> list[Any]:
    names = [f"{file}::test_{i}" for file, number in FILES.items() for i in range(number)]
    return [SimpleNamespace(nodeid=name) for name in names]


def pieces(workers: int) -> list[list[str]]:
    """As xdist cuts them."""
    names = [item.nodeid for item in dealt(collected(), workers)]
    found = []
    for number in range(workers):
        size = len(names) // (workers - number)
        found.append(names[:size])
        del names[:size]
    return found


@pytest.mark.parametrize("workers", [2, 3, 4, 7])
def test_each_test_is_dealt_once(workers: int) -> None:
    dealt_ = [name for piece in pieces(workers) for name in piece]
    assert sorted(dealt_) == sorted(item.nodeid for item in collected())


def test_each_worker_begins_with_what_takes_long_and_ends_with_what_takes_no_time() -> None:
    for piece in pieces(4):
        costs = [cost(name) for name in piece]
        assert costs == sorted(costs, reverse=True)
        assert (costs[0] > 1, costs[-1] < 0.1) == (True, True)


def test_what_shares_a_machine_or_a_stack_stays_together() -> None:
    for folder in ("tests/e2e/far/", "tests/e2e/test_failures.py", "tests/integration/backup/"):
        assert sum(any(name.startswith(folder) for name in piece) for piece in pieces(4)) == 1


def test_without_cheap_ones_nothing_is_lost() -> None:
    few = [item for item in collected() if "e2e" in item.nodeid]
    assert sorted(map(id, dealt(few, 4))) == sorted(map(id, few))
