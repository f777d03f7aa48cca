"""A program call as a value: built here by pure functions, run by a Host."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from stockctl.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Command:
    """What to run.

    `argv` is visible to every user of the host and never holds a secret. `environment` is added
    to the inherited one. `input` is written to standard input first, before anything that a
    caller streams; without either, standard input is empty. `holds_input`: standard input stays
    open until the program ends, and its end tells the other side that we are gone. `inherits`:
    open descriptors that the program gets under the same numbers, on this machine only.
    """

    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    input: Secret | None = None
    directory: Path | None = None
    holds_input: bool = False
    inherits: tuple[int, ...] = ()

    def __str__(self) -> str:
        return shlex.join(self.argv)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a Command ended. `stdout` and `stderr` are text, undecodable bytes replaced."""

    command: Command
    exit_code: int
    stdout: str
    stderr: str
    duration_s: float

    @property
    def ok(self) -> bool:
        return self.exit_code == 0
