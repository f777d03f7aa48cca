"""One run of stockctl: its global options, its output, how it ended."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockctl.cli.findings import said
from stockctl.cli.output import Output
from stockctl.cli.signals import Ending
from stockctl.core.clock import SystemClock
from stockctl.core.errors import ConfigurationError, NoProject, StockctlError
from stockctl.core.redact import Redactor
from stockctl.core.report import Finding
from stockctl.core.secret import Secret
from stockctl.core.units import format_instant
from stockctl.env.project import Project, find_project

if TYPE_CHECKING:
    from stockctl.cli.reporter import TerminalReporter
    from stockctl.core.progress import Progress

ENVELOPE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Result:
    """What a verb hands back. `data` is for programs; a person has seen it on the way."""

    data: dict[str, Any] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    exit_code: int = 0


class Session:
    """Filled while the command line is read; asked for everything afterwards."""

    def __init__(self) -> None:
        self.root: Path | None = None
        self.as_json = False
        self.no_color = False
        self.no_input = False
        self.quiet = False
        self.verbose = False
        self.command = ""
        self._environment: str | None = None
        self.program: tuple[str, ...] = ()  # what came after `--`, for a verb that runs it
        self.ending = Ending()
        self.clock = SystemClock()
        self.started_at: datetime = self.clock.now()
        self._started = self.clock.monotonic()
        self._output: Output | None = None
        self._reporter: TerminalReporter | None = None

    @property
    def output(self) -> Output:
        if self._output is None:
            self._output = Output(as_json=self.as_json, no_color=self.no_color, quiet=self.quiet)
            self._output.environment = self.environment
        return self._output

    @property
    def environment(self) -> str | None:
        """The name of the one that the command is about."""
        return self._environment

    @environment.setter
    def environment(self, name: str | None) -> None:
        self._environment = name
        if self._output is not None:
            self._output.environment = name

    @property
    def reporter(self) -> TerminalReporter:
        if self._reporter is None:
            from stockctl.cli.reporter import TerminalReporter

            self._reporter = TerminalReporter(self.output, verbose=self.verbose)
        return self._reporter

    def progress(self) -> Progress:
        """For one operation."""
        from stockctl.core.progress import Progress

        return Progress(self.reporter, self.clock)

    def project(self) -> Project:
        """Raises NoProject."""
        try:
            here = Path.cwd()
        except FileNotFoundError:
            raise NoProject("the folder you are in is gone", hint="Go into the project.") from None
        return find_project(self.root, here, os.environ)

    def choose(self, name: str | None) -> str:
        """The environment that is meant; raises UnknownEnvironment."""
        self.environment = name
        self.environment = self.project().choose(name, os.environ)
        return self.environment

    def learn_everything(self) -> None:
        """Teaches the output every value of every env file, however it is written: for a message
        that may hold anything, and came before an environment was loaded."""
        try:
            files = list(self.project().folder.glob(".env*"))
            texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
        except (StockctlError, OSError):
            return
        lines = (line.partition("=")[2].strip() for text in texts for line in text.splitlines())
        self.output.redactor.learn(
            Secret(value) for line in lines for value in (line, line.strip("\"'"))
        )

    def finish(self, result: Result) -> int:
        """Show what is left to show; the exit code."""
        self._stop()
        if self.as_json:
            ok = result.exit_code == 0
            self._document(ok, result.data, result.findings, None)
        return result.exit_code

    def fail(self, error: StockctlError) -> int:
        """Show an error; its exit code."""
        self._stop()
        notes = getattr(error, "__notes__", [])
        error.details = "\n".join(filter(None, (error.details, *notes)))
        with suppress(OSError):  # on a full disk the exit code is all that can be told
            self._tell(error)
        return error.exit_code

    def _stop(self) -> None:
        if self._reporter is not None:
            self._reporter.stop()

    def _tell(self, error: StockctlError) -> None:
        findings = error.findings if isinstance(error, ConfigurationError) else ()
        if self.as_json:
            fields = {
                "code": error.code,
                "exit_code": error.exit_code,
                "message": str(error),
                "details": error.details,
                "hint": error.hint,
                "docs": f"docs/errors.md#{error.code.lower()}",
                "retry_after_s": error.retry_after_s,
            }
            self._document(False, {}, findings, fields)
        else:
            self.output.findings(findings)
            self.output.error(error)

    def _document(
        self,
        ok: bool,
        data: dict[str, Any],
        findings: Sequence[Finding],
        error: dict[str, Any] | None,
    ) -> None:
        redactor = self.output.redactor
        document = redactor.data(
            {
                "stockctl": ENVELOPE_VERSION,
                "command": self.command,
                "environment": self.environment,
                "ok": ok,
                "started_at": format_instant(self.started_at),
                "duration_s": round(self.clock.monotonic() - self._started, 3),
                "data": data,
                "findings": None,
                "error": error,
            }
        )
        document["findings"] = [_finding(each, redactor) for each in findings]
        self.output.document(document, safe=True)


def _finding(finding: Finding, redactor: Redactor) -> dict[str, Any]:
    where, clean = finding.where, redactor.text
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "where": {"file": clean(where.file), "line": where.line, "column": where.column}
        if where
        else None,
        "message": said(finding.message, clean),
        "fix": clean(finding.fix),
    }
