"""A folder of migrations, and what `db prove` says about it on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockctl.core.progress import Progress
from stockctl.db.migration import read_migrations
from stockctl.db.proof.nouns import Proof, Verdict
from stockctl.db.proof.walk import Choice, prove
from stockctl.db.scratch import scratch
from stockctl.db.session import Limits
from stockctl.system.postgres import Database


class Migrations:
    """Files, and the proof of them."""

    def __init__(self, folder: Path, database: Database, progress: Progress) -> None:
        self.folder, self.database, self.progress = folder, database, progress

    def write(self, name: str, up: str, down: str | None = None, head: str = "") -> None:
        (self.folder / f"{name}.sql").write_text(head + up)
        if down is not None:
            (self.folder / f"{name}.rollback.sql").write_text(down)

    def prove(self, *, rows: bool = True, only: str | None = None, shared: bool = True) -> Proof:
        found = read_migrations(self.folder)
        chosen = frozenset(each.id for each in found if only in (None, each.id))
        choice = Choice(found, chosen, rows, shared)
        with scratch(self.database, "a test", self.progress) as made:
            return prove(made, choice, Limits(2, 60), self.progress)

    def verdict(self, up: str, down: str, *, before: str = "", head: str = "") -> Verdict:
        """Of one migration, after one that makes what it needs."""
        self.write("0001_before", before or "SELECT 1", "SELECT 1", "")
        self.write("0002_it", up, down, head)
        return self.prove(only="0002_it").verdicts[-1]


@pytest.fixture
def migrations(tmp_path: Path, database: Database, progress: Progress) -> Migrations:
    folder = tmp_path / "migrations"
    folder.mkdir()
    return Migrations(folder, database, progress)
