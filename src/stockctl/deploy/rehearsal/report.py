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
class Contract:
    """What `deploy contract` will do once this release has proved itself: no part of the deploy.
    `closes`: the releases that cannot come back afterwards. `smoke`: of the release on what it
    leaves; None where there are no checks, or it failed."""

    migrations: tuple[Rehearsed, ...]
    closes: tuple[str, ...]
    failed: str = ""  # why none of it could be tried
    smoke: Report | None = None

    @property
    def ok(self) -> bool:
        smoked = self.smoke is None or self.smoke.ok
        return not self.failed and smoked and all(each.ok for each in self.migrations)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """All of it. `unwell`: why the new release did not run on the copy. Seconds are None for what
    was not reached. Without a database there is no backup."""

    version: str
    image_id: str
    services: tuple[str, ...] = ()  # that were started
    left_out: tuple[str, ...] = ()  # what the live ones have and these had not
    backup: str | None = None
    restore_s: float | None = None
    migrations: tuple[Rehearsed, ...] = ()
    command_s: float | None = None  # deploy.release_command, where there is one
    command_failed: str = ""
    start_s: float | None = None
    unwell: str = ""
    smoke: Report | None = None
    smoke_s: float | None = None
    stop_s: float = 0.0  # `recreate` stops the old one first
    backup_s: float = 0.0  # the deploy makes one first
    smokes: int = 1  # `rolling` asks the candidate, and then in public
    watched_s: float = 0.0  # what `rolling` waits for after each step of the traffic
    contract: Contract | None = None  # where any are pending and the release runs
    steps: tuple[StepEnded, ...] = ()  # all that was done

    @property
    def stuck(self) -> bool:
        """There is nothing that the next act could be played on."""
        failed = any(each.failed for each in self.migrations)
        return failed or bool(self.command_failed or self.unwell)

    @property
    def ok(self) -> bool:
        """Whether to deploy it; whatever becomes of the contract migrations later."""
        migrated = all(each.ok for each in self.migrations)
        return migrated and not self.stuck and (self.smoke is None or self.smoke.ok)

    @property
    def forecast(self) -> dict[str, float]:
        """The seconds of the deploy, one after the other, from the backup to the last smoke check,
        without building the image; nothing where it is not ready."""
        if self.start_s is None or not self.ok:
            return {}
        parts = {
            "backup": self.backup_s,
            "migrations": sum(each.up_s or 0.0 for each in self.migrations),
            "release command": self.command_s or 0.0,
            "stop": self.stop_s,
            "start": self.start_s,
            "smoke": self.smokes * (self.smoke_s or 0.0),
            "watch": self.watched_s,
        }
        return {name: seconds for name, seconds in parts.items() if seconds}

    @property
    def forecast_s(self) -> float | None:
        """All of it; None where there is none."""
        return sum(self.forecast.values()) if self.forecast else None

    @property
    def spent_s(self) -> dict[str, float]:
        """Where the seconds of the rehearsal itself went, all migrations together; but for those of
        a smoke check, which are in those of `smoke`."""
        spent: dict[str, float] = {}
        for step in self.steps:
            name = step.name
            for migration in (
                *self.migrations,
                *(self.contract.migrations if self.contract else ()),
            ):
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
        "services": list(found.services),
        "left_out": list(found.left_out),
        "restore_s": _rounded(found.restore_s),
        "migrations": [_migration(each) for each in found.migrations],
        "release_command_s": _rounded(found.command_s),
        "release_command_failed": found.command_failed or None,
        "start_s": _rounded(found.start_s),
        "unwell": found.unwell or None,
        "smoke": _checks(found.smoke),
        "contract": _contract(found.contract) if found.contract else None,
        "spent_s": {name: round(spent, 3) for name, spent in found.spent_s.items()},
        "forecast": {name: round(part, 3) for name, part in found.forecast.items()},
        "forecast_s": None if found.forecast_s is None else round(found.forecast_s, 1),
        "way_back": found.way_back,
    }


def _contract(found: Contract) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "migrations": [_migration(each) for each in found.migrations],
        "closes": list(found.closes),
        "failed": found.failed or None,
        "smoke": _checks(found.smoke),
    }


def _migration(each: Rehearsed) -> dict[str, Any]:
    return {
        "id": each.id,
        "ok": each.ok,
        "up_s": _rounded(each.up_s),
        "locks": None if each.locks is None else [str(lock) for lock in each.locks],
        "blocks": [lock.table for lock in each.blocking],
        "problems": [{"code": p.code, "message": p.message} for p in each.problems],
        "failed": each.failed or None,
        "reversible": each.reversible,
    }


def _checks(report: Report | None) -> list[dict[str, Any]] | None:
    if report is None:
        return None
    return [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in report.checks]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
