"""squawk, a linter for PostgreSQL migrations: https://squawkhq.com/docs/rules

A program in a wheel (squawk-cli), so it stands beside the Python that runs us.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockctl.core.command import Command, Completed


@dataclass(frozen=True, slots=True)
class Remark:
    """What squawk says. `line` and `column` are from 1, the column in *bytes*, as it counts."""

    file: str
    line: int
    column: int
    rule: str
    message: str
    help: str


def program(python: str = sys.executable) -> str:
    """Beside the interpreter, where pip puts it; else the one on PATH."""
    beside = Path(python).with_name("squawk")
    return str(beside) if beside.is_file() else "squawk"


def lint(names: Sequence[str], folder: Path, *, version: str, squawk: str = "squawk") -> Command:
    """Prints JSON about the files of `folder`; `version`: the oldest server they are for.

    Names without a folder: squawk takes them for glob patterns, and a folder may have a `[` in it.
    A `.squawk.toml` somewhere above is not read: what holds is what stands in docs/lint.md.
    """
    argv = (squawk, "--config", "/dev/null", "--pg-version", version, "--reporter", "json")
    return Command((*argv, "--assume-in-transaction", "--", *names), directory=folder)


def remarks(done: Completed) -> tuple[Remark, ...] | None:
    """None where it did not come to an end: it is killed by an expression nested 20,000 deep, and
    refuses all of the files when one of them is no UTF-8 (2.70). Exit 1 says nothing: it is for
    warnings, syntax errors and that refusal alike."""
    if done.exit_code not in (0, 1) or not done.stdout.startswith("["):
        return None
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return tuple(
        Remark(
            file=each["file"],
            line=each["line"] + 1,  # from 0 there
            column=each["column"] + 1,
            rule=each["rule_name"],
            message=each["message"],
            help=each["help"] or "",
        )
        for each in found
    )
