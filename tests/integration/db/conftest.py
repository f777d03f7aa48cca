"""A folder of migrations and a database, as a person works with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stockctl.core.clock import Clock, SystemClock
from stockctl.core.progress import Progress, Reporter, silent
from stockctl.db.ledger import State, read_status
from stockctl.db.migration import read_migrations
from stockctl.db.plan import plan_migrate, plan_rollback
from stockctl.db.runner import migrate, rollback
from stockctl.system.postgres import Database


@dataclass
class Bench:
    """Calls of the runner with what most tests do not care about filled in."""

    folder: Path
    database: Database
    clock: Clock = field(default_factory=SystemClock)
    report: Reporter = silent

    def write(self, name: str, up: str, down: str = "SELECT 1;") -> None:
        (self.folder / f"{name}.sql").write_text(up)
        (self.folder / f"{name}.rollback.sql").write_text(down)

    def states(self) -> dict[str, str]:
        status = read_status(self.database, read_migrations(self.folder))
        return {entry.id: entry.state.value for entry in status.entries}

    def state(self, identity: str) -> State:
        return State(self.states()[identity])

    def migrate(self, *, allow_out_of_order: bool = False, **more: Any) -> list[str]:
        files = read_migrations(self.folder)
        status = read_status(self.database, files)
        plan = plan_migrate(
            status, files, to=None, phase=None, allow_out_of_order=allow_out_of_order
        )
        return [each.id for each in migrate(self.database, plan, **self.more(more))]

    def rollback(self, *, steps: int = 1, **more: Any) -> list[str]:
        files = read_migrations(self.folder)
        plan = plan_rollback(read_status(self.database, files), files, steps=steps, to=None)
        more = {"allow_data_loss": False, **more}
        return [each.id for each in rollback(self.database, plan, **self.more(more))]

    def more(self, more: dict[str, Any]) -> dict[str, Any]:
        # a session that has just been closed lives on for a moment, and its lock with it
        defaults = {"lock_timeout_s": 2, "statement_timeout_s": 60, "lock_wait_s": 20}
        progress = Progress(self.report, self.clock)
        return {**defaults, "progress": progress, "clock": self.clock, **more}

    def query(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def bench(tmp_path: Path, database: Database) -> Bench:
    folder = tmp_path / "migrations"
    folder.mkdir()
    return Bench(folder, database)
