"""How a command whose data are findings ends: `env validate`, `db lint`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from stockctl.cli.session import Result, Session
from stockctl.core.errors import ConfigurationError, UsageError
from stockctl.core.report import Described, Finding
from stockctl.env.project import Project


class Format(StrEnum):
    """How findings are shown."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


Strict = Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")]
FormatOption = Annotated[
    Format, typer.Option("--format", help="github: annotations; sarif: for code scanners.")
]


@dataclass(frozen=True, slots=True)
class Told:
    """What the findings are about: names for the last line, `data` for programs, the rules and the
    page that explains them."""

    names: Sequence[str]
    data: dict[str, Any]
    rules: Mapping[str, Described]
    page: str


def choose_format(session: Session, format_: Format) -> None:
    """`--format json` is `--json`. Raises UsageError where the two contradict each other."""
    if session.as_json and format_ in (Format.GITHUB, Format.SARIF):
        raise UsageError(f"give either --json or --format {format_}")
    session.as_json = session.output.as_json = session.as_json or format_ is Format.JSON


def tell(
    session: Session, told: Told, findings: Sequence[Finding], format_: Format, *, strict: bool
) -> Result:
    """The findings are the data of this command: they go to stdout, however it ends."""
    from stockctl import __version__
    from stockctl.cli.findings import github, sarif, stops, total

    output, summary = session.output, total(told.names, findings, strict=strict)
    stopping = [each for each in findings if stops(each, strict=strict)]
    if format_ is Format.TEXT and not session.as_json:
        shown = stopping if session.quiet else findings
        output.findings(shown, beside=False)
        end = ((summary, "bold red" if stopping else "green"),)
        output.lines([(), end] if shown else [end])
        code = ConfigurationError.exit_code if stopping else 0
        return Result(told.data, findings, code)
    if format_ is Format.GITHUB:
        checkout = inside_checkout(session.project())
        output.write(github(findings, told.rules, output.clean, checkout))
    elif format_ is Format.SARIF:
        log = sarif(findings, told.rules, output.clean, __version__, told.page)
        output.document(log, safe=True)
    if stopping:
        raise ConfigurationError(summary, findings=findings if session.as_json else ())
    return Result(told.data, findings)


def inside_checkout(project: Project) -> str:
    """Where the project is in what the workflow checked out: annotations name files from there."""
    root = project.root.resolve()
    around = next((each for each in (root, *root.parents) if (each / ".git").exists()), root)
    checkout = Path(os.environ.get("GITHUB_WORKSPACE") or around)
    try:
        return str(root.relative_to(checkout.resolve()))
    except ValueError:
        return ""
