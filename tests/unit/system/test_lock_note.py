"""A lock that somebody takes, signs, asks about or gives back at the very instant we want it."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stockctl.system import lock_note
from stockctl.system.host import Holder

ANNA = Holder("anna@desk", "backup create", datetime(2026, 11, 22, 3, tzinfo=UTC))
SOON_S = 0.25  # longer than a mere question holds it


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The same file, opened by two."""
    path = tmp_path / "lock"
    opened = tuple(os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for _ in range(2))
    yield opened[0], opened[1]
    for each in opened:
        os.close(each)


def soon(what: object, *arguments: object) -> threading.Timer:
    timer = threading.Timer(SOON_S, what, arguments)  # type: ignore[arg-type]
    timer.start()
    return timer


def test_one_that_signs_in_a_moment_is_named(two: tuple[int, int]) -> None:
    theirs, ours = two
    assert lock_note.take(theirs) == ""
    timer = soon(lock_note.sign, theirs, ANNA)
    assert "anna@desk" in lock_note.take(ours)
    timer.join()


def test_one_that_leaves_in_a_moment_is_followed(two: tuple[int, int]) -> None:
    theirs, ours = two
    assert lock_note.take(theirs) == ""
    timer = soon(fcntl.flock, theirs, fcntl.LOCK_UN)
    assert lock_note.take(ours) == ""
    timer.join()


def test_a_question_keeps_nobody_out(two: tuple[int, int]) -> None:
    """Also where a killed holder left its note behind, which is nobody's then."""
    theirs, ours = two
    lock_note.sign(ours, ANNA)
    fcntl.flock(theirs, fcntl.LOCK_SH)
    timer = threading.Timer(0.03, fcntl.flock, (theirs, fcntl.LOCK_UN))
    timer.start()
    assert lock_note.take(ours) == ""
    timer.join()


def test_one_that_never_signs_is_somebody(two: tuple[int, int]) -> None:
    theirs, ours = two
    assert lock_note.take(theirs) == ""
    assert lock_note.take(ours) == lock_note.SOMEBODY
