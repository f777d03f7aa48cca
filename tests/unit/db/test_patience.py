"""How long a lock is tried for, and with which pauses."""

from __future__ import annotations

import psycopg
import pytest
from tests.conftest import FakeClock

from stockctl.core.errors import MigrationFailed
from stockctl.core.progress import Progress
from stockctl.db.patience import LONGEST_PAUSE_S, Patience


class Attempts:
    """Fails for the first `failures` times."""

    def __init__(self, failures: int, cause: psycopg.Error) -> None:
        self.failures, self.cause, self.made = failures, cause, 0

    def __call__(self) -> None:
        self.made += 1
        if self.made <= self.failures:
            raise MigrationFailed("0001_a failed: no lock") from self.cause


def patience(deadline_s: float, clock: FakeClock, progress: Progress, chance: float) -> Patience:
    return Patience(deadline_s, clock, progress, None, lambda: chance)


@pytest.mark.parametrize(("chance", "slept_s"), [(0.0, 0.875), (1.0, 1.75)])
def test_the_pauses_double_and_differ_by_chance(
    clock: FakeClock, progress: Progress, chance: float, slept_s: float
) -> None:
    attempts = Attempts(3, psycopg.errors.LockNotAvailable())
    patience(60, clock, progress, chance).insist("0001_a", attempts)
    assert (attempts.made, clock.slept_s) == (4, slept_s)


def test_a_deadlock_is_tried_again_too(clock: FakeClock, progress: Progress) -> None:
    attempts = Attempts(1, psycopg.errors.DeadlockDetected())
    patience(60, clock, progress, 1).insist("0001_a", attempts)
    assert attempts.made == 2


def test_the_deadline_is_kept_and_said(clock: FakeClock, progress: Progress) -> None:
    attempts = Attempts(1000, psycopg.errors.LockNotAvailable())
    with pytest.raises(MigrationFailed, match=r"no lock \(\d+ tries in \d+s\)"):
        patience(60, clock, progress, 1).insist("0001_a", attempts)
    assert 60 - LONGEST_PAUSE_S <= clock.slept_s <= 60


def test_without_a_deadline_there_is_one_try(clock: FakeClock, progress: Progress) -> None:
    attempts = Attempts(1, psycopg.errors.LockNotAvailable())
    with pytest.raises(MigrationFailed, match=r"no lock$"):
        patience(0, clock, progress, 0).insist("0001_a", attempts)
    assert attempts.made == 1


def test_what_is_no_lock_is_not_tried_again(clock: FakeClock, progress: Progress) -> None:
    attempts = Attempts(1, psycopg.errors.DivisionByZero())
    with pytest.raises(MigrationFailed):
        patience(60, clock, progress, 0).insist("0001_a", attempts)
    assert attempts.made == 1
