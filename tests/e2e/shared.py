"""One stack for many tests, for as long as each leaves it serving; then another.

A test that fails, or a machine that is too slow for a deploy, costs that one test and no other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.conftest import StagingProject, begin, make, take_away

SOURCES = ("environments", "migrations", "examples")


class Shared:
    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder
        self._made: StagingProject | None = None

    @contextmanager
    def lent(self) -> Iterator[StagingProject]:
        """Something serves. Afterwards the project's files are as they were."""
        made = self._made or self._make()
        self._made = None  # until it has come back well
        try:
            yield made
            for each in SOURCES:
                shutil.rmtree(made.root / each)
                shutil.copytree(made.root.parent / "before" / each, made.root / each)
            assert made.version() is not None
        except BaseException:
            take_away(made)
            raise
        self._made = made

    def close(self) -> None:
        if self._made:
            take_away(self._made)

    def _make(self) -> StagingProject:
        made = make(self._folder(), "recreate")
        try:
            begin(made)
        except BaseException:
            take_away(made)
            raise
        for each in SOURCES:
            shutil.copytree(made.root / each, made.root.parent / "before" / each)
        return made
