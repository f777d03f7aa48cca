"""The gate before anything is touched: every rule of `env validate`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stockctl.cli.session import Session
from stockctl.core.errors import ToolFailed
from stockctl.core.report import Severity
from stockctl.core.units import counted

if TYPE_CHECKING:
    from stockctl.env.validate import Validation

GIT_S = 10.0


def require_sound(session: Session, name: str) -> None:
    """Raises ConfigurationError with all findings if one is an error; warnings are counted."""
    from stockctl.env.load import not_sound

    validation = _validate(session, name)
    if any(each.severity is Severity.ERROR for each in validation.findings):
        raise not_sound(name, validation.findings)
    warnings = sum(each.severity is Severity.WARNING for each in validation.findings)
    if warnings:
        many = counted(warnings, "warning")
        session.progress().warn(f"{name}: {many}: stockctl env validate {name}")


def report_unsound(session: Session, name: str) -> None:
    """The same for a command that needs little of the environment: it tells and goes on.

    Not even a mistake in a rule may stop a backup at night or a rollback in a bad one.
    """
    try:
        found = [f for f in _validate(session, name).findings if f.severity is not Severity.INFO]
    except Exception as error:
        session.progress().warn(f"{name} could not be checked: {type(error).__name__}: {error}")
        return
    if found:
        session.output.findings(found)
        session.progress().warn(f"{name} is not sound; this goes on: stockctl env validate {name}")


def count_errors(session: Session, name: str) -> int:
    """How many errors `env validate` finds."""
    findings = _validate(session, name).findings
    return sum(each.severity is Severity.ERROR for each in findings)


def _validate(session: Session, name: str) -> Validation:
    from stockctl.env.validate import validate

    project = session.project()
    validation = validate(project, [name], os.environ, tracked_by_git)
    session.output.redactor.learn(validation.secrets)
    return validation


def tracked_by_git(files: Sequence[Path]) -> set[Path]:
    """Asks git, in the folder of each file, which of them it tracks. Where it cannot tell (no git,
    no repository, one that belongs to somebody else) nothing is known to be tracked."""
    from stockctl.system import git

    found: set[Path] = set()
    for folder in {file.parent for file in files}:  # it need not be one of the project's
        beside = [file for file in files if file.parent == folder]
        if git.may_track(beside, folder):
            found |= _tracked(beside, folder)
    return found


def _tracked(files: Sequence[Path], folder: Path) -> set[Path]:
    from stockctl.system import git
    from stockctl.system.local import LocalHost

    try:
        done = LocalHost().run(git.tracked(files, folder), timeout_s=GIT_S, check=False)
    except ToolFailed:
        return set()
    return git.paths(done.stdout, folder)
