"""What a check found: Finding, Check, Report; what finds it: Described."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from stockctl.core.errors import Where


class Severity(StrEnum):
    """How bad a finding is. Only errors stop a command."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: its stable code, where it is, what it is, how to mend it.

    `about` names the variable, where it is about one; `quote` is the line, with every value in it
    masked.
    """

    code: str
    severity: Severity
    message: str
    where: Where | None = None
    fix: str = ""
    quote: str = ""
    about: str = ""

    def sort_key(self) -> tuple[str, int, int, str, str]:
        """By file, line, column, code: the order in which a person mends them."""
        where = self.where
        place = (where.file, where.line or 0, where.column or 0) if where else ("", 0, 0)
        return (*place, self.code, self.message)


class Described(Protocol):
    """A rule, of `env validate` or of `db lint`."""

    @property
    def code(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def why(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One question that was asked and its answer. `skipped`: it could not be answered, and says
    nothing either way. Not `critical`: worth a word, and nothing fails of it."""

    name: str
    ok: bool
    detail: str = ""
    fix: str = ""
    duration_s: float = 0.0
    status: int | None = None
    critical: bool = True
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Checks that belong together."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """True when there was something to check and all of it held: nothing is not good news."""
        asked = [check for check in self.checks if not check.skipped]
        return bool(asked) and not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """Those that are critical; a skipped one failed only where it says so."""
        return tuple(check for check in self.checks if not check.ok and check.critical)
