"""What a proof says about a migration."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from stockctl.core.report import Severity
from stockctl.db.catalog.diff import Difference


class Outcome(StrEnum):
    """How a migration came out."""

    PROVED = "proved"
    FAILED = "failed"
    IRREVERSIBLE = "irreversible"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a script. `line` counts from 1; `details` is PostgreSQL's own words."""

    code: str
    severity: Severity
    message: str
    path: Path
    line: int | None = None
    differences: tuple[Difference, ...] = ()
    details: str = ""


@dataclass(frozen=True, slots=True)
class TableLock:
    """The strongest lock that a script held on a table that was there before, at its end.

    `rewritten`: the table's file is another one afterwards, so all rows were copied (or, with
    TRUNCATE, none).
    """

    table: str
    mode: str
    rewritten: bool

    def __str__(self) -> str:
        return f"{self.mode} on {self.table}" + (", rewritten" if self.rewritten else "")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One migration. Seconds are None for what did not run; `locks` is None where there was no
    transaction to hold them."""

    id: str
    outcome: Outcome
    transactional: bool
    reason: str = ""
    up_s: float | None = None
    down_s: float | None = None
    again_s: float | None = None
    locks: tuple[TableLock, ...] | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Unfilled:
    """A table that no rows could be made for, and why: what a proof says about it is less."""

    table: str
    reason: str


@dataclass(frozen=True, slots=True)
class Proof:
    """All of it. `rows` were in `tables` tables at the end."""

    verdicts: tuple[Verdict, ...]
    unfilled: tuple[Unfilled, ...] = ()
    tables: int = 0
    rows: int = 0
    duration_s: float = 0.0

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for verdict in self.verdicts for problem in verdict.problems)


@dataclass(slots=True)
class Notes:
    """What is known of a migration while it is being proved."""

    problems: list[Problem] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(problem.severity is Severity.ERROR for problem in self.problems)
