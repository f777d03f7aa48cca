"""The error tree: what went wrong, where, what to do next.

    StockctlError
    ├── Bug 1
    ├── UsageError 2 ── NoProject · UnknownEnvironment
    ├── ConfigurationError 3
    ├── Refused 4 ── ConfirmationMissing · PlanOutdated
    ├── Locked 5 ── Frozen
    ├── ToolFailed 6 ── ToolMissing · DeadlineExceeded · EngineUnavailable
    │                   StoreFailed · HostFailed
    ├── DatabaseFailed 7 ── DatabaseUnreachable · MigrationFailed
    ├── BackupInvalid 8
    ├── Unhealthy 9
    ├── PersonNeeded 11
    └── Interrupted 130 · EndedBySignal 143

Errors are raised where they are known and become an exit code in `cli/app.py`, nowhere else.
`docs/errors.md` is generated from this file: the docstring of a class is its page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stockctl.core.report import Finding


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


class StockctlError(Exception):
    """Something stockctl knows how to explain.

    `message` says what went wrong in one line, `where` in which file, `details` is what a tool
    printed (may be many lines), `hint` is the next thing to do, `retry_after_s` is set where
    waiting may help.
    """

    code: ClassVar[str] = "ERROR"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        where: Where | None = None,
        details: str = "",
        hint: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.details = details
        self.hint = hint
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class UsageError(StockctlError):
    """The command line is not one that stockctl understands. `--help` after the verb shows it."""

    code = "USAGE"
    exit_code = 2


class NoProject(UsageError):
    """No folder `environments/` here or in any folder above.

    Go into the project, or name it: `stockctl --root DIR …` or `STOCKCTL_ROOT=DIR`.
    """

    code = "NO_PROJECT"


class UnknownEnvironment(UsageError):
    """There is no `environments/NAME.toml` of that name, or none was named and there are several.

    `stockctl env list` shows the names. `STOCKCTL_ENV` sets the one to use when none is named.
    """

    code = "UNKNOWN_ENVIRONMENT"


class ConfigurationError(StockctlError):
    """The environment's TOML, its env file or a file they name is wrong.

    All findings come at once, each with file and line. Nothing was touched.
    """

    code = "CONFIGURATION"
    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        findings: Sequence[Finding] = (),
        where: Where | None = None,
        details: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, where=where, details=details, hint=hint)
        self.findings = tuple(findings)


class Refused(StockctlError):
    """A guard said no, and nothing was changed. The message names the guard and the ways out."""

    code = "REFUSED"
    exit_code = 4


class ConfirmationMissing(Refused):
    """A destructive verb was not confirmed.

    Type the environment's name when asked, or give `--confirm ENV` (on an environment that is
    not protected `--yes` is enough). Without a terminal nobody can be asked.
    """

    code = "CONFIRMATION_MISSING"


class PlanOutdated(Refused):
    """Between the plan that was shown and the moment it was to be carried out somebody else
    deployed. Nothing was changed; the same command makes a new plan. `--wait` does so by itself.
    """

    code = "PLAN_OUTDATED"


class Locked(StockctlError):
    """Somebody else is at work on this environment: the message says who, since when, doing what.

    The lock is held by their process and goes when that process ends, however it ends.
    There is nothing to unlock by hand: wait and run the command again.
    """

    code = "LOCKED"
    exit_code = 5


class Frozen(Locked):
    """Somebody has stopped deploys to this environment with `deploy lock`: the message says who,
    since when and why.

    Unlike a lock it has no process behind it and does not go by itself: `stockctl deploy unlock`.
    """

    code = "FROZEN"


class ToolFailed(StockctlError):
    """A program that stockctl called (docker, compose, pg_dump …) failed; its words are shown."""

    code = "TOOL_FAILED"
    exit_code = 6


class ToolMissing(ToolFailed):
    """A program that the job needs is not on this machine. `stockctl doctor` lists what is."""

    code = "TOOL_MISSING"


class DeadlineExceeded(ToolFailed):
    """A program did not end in the time it was given; it and its children were ended."""

    code = "DEADLINE"


class EngineUnavailable(ToolFailed):
    """The Docker engine does not answer, or Compose v2 is missing. `stockctl doctor` says which."""

    code = "ENGINE"


class StoreFailed(ToolFailed):
    """The backup store cannot be read or written: missing folder, permissions, a full disk."""

    code = "STORE"


class HostFailed(ToolFailed):
    """A file or folder on the host cannot be read or written."""

    code = "HOST"


class DatabaseFailed(StockctlError):
    """PostgreSQL refused what it was asked to do; its message and hint are shown."""

    code = "DATABASE"
    exit_code = 7


class DatabaseUnreachable(DatabaseFailed):
    """No connection: the server is down, the address is wrong, or the credentials are."""

    code = "DATABASE_UNREACHABLE"


class MigrationFailed(DatabaseFailed):
    """A migration or its down script failed; file and line of the statement are shown.

    A transactional migration left no trace. A non-transactional one may have: it is marked
    `dirty` in `stockctl db status`, and the message says what to look at.
    """

    code = "MIGRATION"
    dirty = False


class BackupInvalid(StockctlError):
    """A backup is not what its manifest says: cut, changed, or made by something else.

    The live database was not touched. Choose another one: `stockctl backup list`.
    """

    code = "BACKUP_INVALID"
    exit_code = 8


class Unhealthy(StockctlError):
    """Health or smoke checks failed.

    After `deploy ENV`: the new release was withdrawn and the previous one serves again.
    """

    code = "UNHEALTHY"
    exit_code = 9


class PersonNeeded(StockctlError):
    """It failed, and the previous state could not be brought back: a person is needed now.

    The message says what is in which state, and the commands to type.
    """

    code = "PERSON_NEEDED"
    exit_code = 11


class Bug(StockctlError):
    """stockctl did something that its authors did not foresee.

    Please report it with the command line and what `-v` adds (a traceback, secrets masked).
    """

    code = "BUG"
    exit_code = 1


class Interrupted(StockctlError):
    """Ctrl-C. What was running was ended in an orderly way, and undone where it was half-done."""

    code = "INTERRUPTED"
    exit_code = 130


class EndedBySignal(StockctlError):
    """SIGTERM or SIGHUP. The same as Ctrl-C, asked for by another program."""

    code = "TERMINATED"
    exit_code = 143


class Terminated(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt it passes every `except Exception` on its way out."""


def tree() -> list[type[StockctlError]]:
    """Every error class, parents before children, in the order of the exit codes."""

    def below(parent: type[StockctlError]) -> list[type[StockctlError]]:
        children = sorted(parent.__subclasses__(), key=lambda child: child.exit_code)
        return [each for child in children for each in (child, *below(child))]

    return below(StockctlError)
