"""What a rehearsal found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stockctl.core.progress import StepEnded
from stockctl.core.report import Report, Severity
from stockctl.db.proof.nouns import Problem, TableLock
from stockctl.db.proof.rules import RULES

LONG_S = 1.0  # a lock that everybody who reads or writes waits for
HEAVY = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One migration on the real rows. `up_s` is that of the real runner. A lock is held from its
    statement to the end of the script: at most `up_s`."""

    id: str
    up_s: float | None
    locks: tuple[TableLock, ...] | None
    problems: tuple[Problem, ...] = ()
    failed: str = ""  # why it could not be applied
    reversible: bool = False

    @property
    def ok(self) -> bool:
        wrong = any(RULES[each.code].severity is Severity.ERROR for each in self.problems)
        return not self.failed and not wrong

    @property
    def blocking(self) -> tuple[TableLock, ...]:
        """Locks that others would notice, held for long."""
        if self.up_s is None or self.up_s < LONG_S:
            return ()
        return tuple(lock for lock in self.locks or () if lock.mode in HEAVY)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """All of it. `unwell`: why the new release did not run on the copy. Seconds are None for what
    was not reached."""

    backup: str
    version: str
    image_id: str
    restore_s: float
    migrations: tuple[Rehearsed, ...] = ()
    command_s: float | None = None  # deploy.release_command, where there is one
    command_failed: str = ""
    start_s: float | None = None
    unwell: str = ""
    smoke: Report | None = None
    smoke_s: float | None = None
    backup_s: float = 0.0  # the deploy makes one first
    smokes: int = 1  # `rolling` asks the candidate, and then in public
    watched_s: float = 0.0  # what `rolling` waits for after each step of the traffic
    steps: tuple[StepEnded, ...] = ()  # all that was done

    @property
    def ok(self) -> bool:
        migrated = all(each.ok for each in self.migrations)
        started = not self.command_failed and not self.unwell
        return migrated and started and (self.smoke is None or self.smoke.ok)

    @property
    def migrate_s(self) -> float:
        return sum(each.up_s or 0.0 for each in self.migrations)

    @property
    def forecast_s(self) -> float | None:
        """The deploy, from the backup to the last smoke check, without building the image."""
        if self.start_s is None or not self.ok:
            return None
        smoke_s = self.smokes * (self.smoke_s or 0.0)
        migrate_s = self.migrate_s + (self.command_s or 0.0)
        return self.backup_s + migrate_s + self.start_s + smoke_s + self.watched_s

    @property
    def spent_s(self) -> dict[str, float]:
        """Where the seconds of the rehearsal itself went, all migrations together; but for those of
        a smoke check, which are in those of `smoke`."""
        spent: dict[str, float] = {}
        for step in self.steps:
            name = step.name
            for migration in self.migrations:
                name = name.removesuffix(f" {migration.id}")
            if not name.startswith("smoke:"):
                spent[name] = spent.get(name, 0.0) + step.duration_s
        return spent

    @property
    def way_back(self) -> str:
        """What a rollback will be able to do."""
        if not self.migrations:
            return "code and configuration; the schema stays as it is"
        wrong = [each.id for each in self.migrations if not each.reversible or not each.ok]
        if wrong:
            return f"code and configuration; not the schema: {', '.join(wrong)}"
        return "code and configuration; the schema too, with --with-database"


def as_data(found: Rehearsal) -> dict[str, Any]:
    """For `--json`."""
    return {
        "ok": found.ok,
        "backup": found.backup,
        "version": found.version,
        "image_id": found.image_id,
        "restore_s": round(found.restore_s, 3),
        "migrations": [
            {
                "id": each.id,
                "ok": each.ok,
                "up_s": None if each.up_s is None else round(each.up_s, 3),
                "locks": None if each.locks is None else [str(lock) for lock in each.locks],
                "blocks": [lock.table for lock in each.blocking],
                "problems": [{"code": p.code, "message": p.message} for p in each.problems],
                "failed": each.failed or None,
                "reversible": each.reversible,
            }
            for each in found.migrations
        ],
        "release_command_s": None if found.command_s is None else round(found.command_s, 3),
        "release_command_failed": found.command_failed or None,
        "start_s": None if found.start_s is None else round(found.start_s, 3),
        "unwell": found.unwell or None,
        "smoke": None
        if found.smoke is None
        else [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in found.smoke.checks],
        "spent_s": {name: round(spent, 3) for name, spent in found.spent_s.items()},
        "forecast_s": None if found.forecast_s is None else round(found.forecast_s, 1),
        "way_back": found.way_back,
    }
