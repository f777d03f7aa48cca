"""What goes to the terminal: data to stdout, everything else to stderr, secrets to neither."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from stockctl.core.errors import StockctlError
from stockctl.core.redact import Redactor
from stockctl.core.report import Finding, Severity

if TYPE_CHECKING:
    from rich.console import Console

# What comes from outside may hold escape sequences that move the cursor or retitle the window.
_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x09\x0b-\x1f\x7f-\x9f]"
)
PIPE_WIDTH = 1000  # columns: a row stays one line for whatever reads it
_COLOUR = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, and the colour it is shown in."""

    cells: tuple[str, ...]
    style: str = ""


class Output:
    """Writes for a person or, with `--json`, for a program."""

    def __init__(
        self, *, as_json: bool = False, no_color: bool = False, quiet: bool = False
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.redactor = Redactor()
        self._plain = no_color or bool(os.environ.get("NO_COLOR"))

    @property
    def animated(self) -> bool:
        """Whether a live line may be shown: on a terminal that wants and can do more than text."""
        dumb = self.err.is_dumb_terminal
        return self.err.is_terminal and not (dumb or self._plain or self.quiet)

    @cached_property
    def out(self) -> Console:
        """stdout."""
        return self._console(sys.stdout)

    @cached_property
    def err(self) -> Console:
        """stderr."""
        return self._console(sys.stderr)

    def _console(self, file: TextIO) -> Console:
        from stockctl.cli.console import SteadyConsole

        return SteadyConsole(
            file=file,
            no_color=self._plain,
            color_system=None if self._plain else "auto",  # without one there is no bold either
            highlight=False,
            markup=False,
            emoji=False,
            width=None if file.isatty() else PIPE_WIDTH,
        )

    def clean(self, text: str) -> str:
        """Fit to be shown: secrets masked, control characters gone."""
        # before, since a secret may hold a tab; after, since an escape may stand within one
        return self.redactor.text(_CONTROL.sub(_replace_control, self.redactor.text(text)))

    def line(self, text: str = "", style: str = "") -> None:
        """A line of data for a person."""
        if not self.as_json:
            self.out.print(self.clean(text), style=style, soft_wrap=True)

    def note(self, text: str, style: str = "") -> None:
        """A line beside the data."""
        if self.quiet:
            return
        with suppress(OSError):  # a log on a full disk must not stop the work
            self.err.print(self.clean(text), style=style, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Row], empty: str) -> None:
        """A table, or `empty` where there is no row."""
        rows = list(rows)
        if self.as_json:
            return
        if not rows:
            self.note(empty)
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for number, column in enumerate(columns):  # the first one is what people copy
            table.add_column(column, overflow="fold", no_wrap=number == 0)
        for row in rows:
            table.add_row(*(Text(self.clean(cell)) for cell in row.cells), style=row.style)
        self.out.print(table)

    def findings(self, findings: Sequence[Finding]) -> None:
        """Each with its place, its code and how to mend it."""
        for finding in findings:
            place = f"{finding.where}: " if finding.where else ""
            fix = f" → {finding.fix}" if finding.fix else ""
            text = f"{place}{finding.code} {finding.severity}: {finding.message}{fix}"
            self.err.print(self.clean(text), style=_COLOUR[finding.severity], soft_wrap=True)

    def error(self, error: StockctlError) -> None:
        """What, where, what to do next."""
        self.err.print(f"error: {self.clean(str(error))}", style="bold red", soft_wrap=True)
        for line in self.clean(error.details).splitlines():
            self.err.print(f"  {line}", soft_wrap=True)
        for line in self.clean(error.hint).splitlines():
            self.err.print(f"→ {line}", style="cyan", soft_wrap=True)

    def document(self, document: dict[str, Any]) -> None:
        """The one JSON document of `--json`."""
        safe = self.redactor.data(document)
        unicode = "utf" in (sys.stdout.encoding or "").lower()
        try:
            sys.stdout.write(json.dumps(safe, ensure_ascii=not unicode, default=str) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            from stockctl.cli.console import hush

            hush(sys.stdout)


def _replace_control(found: re.Match[str]) -> str:
    return "    " if found.group() == "\t" else ""
