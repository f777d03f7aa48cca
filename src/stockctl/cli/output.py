"""What goes to the terminal: data to stdout, everything else to stderr, secrets to neither."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from stockctl.cli.findings import LONGEST_QUOTE, Line, lines
from stockctl.cli.table import Row, Styled, aligned, spilled
from stockctl.core.errors import StockctlError
from stockctl.core.hint import addressed
from stockctl.core.redact import Redactor
from stockctl.core.report import Finding

if TYPE_CHECKING:
    from rich.console import Console

# What comes from outside may hold escape sequences that move the cursor or retitle the window.
_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x09\x0b-\x1f\x7f-\x9f]"
)
# What a CI runner would take for a command to itself: GitHub's `::name …::` at the start of a line
# and `##[name]` anywhere in it (actions/runner, ActionCommand.cs), Azure's `##vso[name]`.
_COMMAND = re.compile(r"^(\s*):(?=:[a-z])|##(?=(?:vso)?\[)", re.MULTILINE | re.IGNORECASE)
PIPE_WIDTH = 1000  # columns: a row stays one line for whatever reads it
LONG = 500  # rows from which on a table is only lined up


class Output:
    """Writes for a person or, with `--json`, for a program."""

    def __init__(
        self, *, as_json: bool = False, no_color: bool = False, quiet: bool = False
    ) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.redactor = Redactor()
        self.environment: str | None = None  # whose name commands in hints are completed with
        self._plain = no_color or bool(os.environ.get("NO_COLOR"))

    @property
    def animated(self) -> bool:
        """Whether a live line may be shown: on a terminal that wants and can do more than text."""
        if self._colourless(sys.stderr) or self.quiet:
            return False
        return self.err.is_terminal and not self.err.is_dumb_terminal

    @cached_property
    def out(self) -> Console:
        """stdout."""
        return self._console(sys.stdout)

    @cached_property
    def err(self) -> Console:
        """stderr."""
        return self._console(sys.stderr)

    @property
    def width(self) -> int:
        """Columns of stdout; more than anybody writes where it is no terminal."""
        return self._width(sys.stdout)

    def _width(self, stream: TextIO) -> int:
        if not stream.isatty():
            return PIPE_WIDTH
        from shutil import get_terminal_size

        return get_terminal_size().columns

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
        """Fit to be shown: secrets masked, control characters and commands to a CI runner gone."""
        safe = self.redactor.text(
            addressed(text, self.environment)
        )  # before, since a secret may hold a tab
        bare = _CONTROL.sub(_replace_control, safe)
        if bare != safe:  # after, since an escape may stand within one
            bare = self.redactor.text(bare)
        return _COMMAND.sub(lambda found: f"{found.group()} ", bare)

    def line(self, text: str = "", style: str = "") -> None:
        """A line of data for a person."""
        if not self.as_json:
            self._lines([((self.clean(text), style),)], sys.stdout)

    def note(self, text: str, style: str = "") -> None:
        """A line beside the data."""
        if not self.quiet:
            self._beside(text, style)

    def warning(self, text: str) -> None:
        """The same, also for those who want it quiet."""
        self._beside(f"warning: {text}", "yellow")

    def _beside(self, text: str, style: str) -> None:
        with suppress(OSError):  # a log on a full disk must not stop the work
            self._lines([((self.clean(text), style),)], sys.stderr)

    def table(self, columns: Sequence[str], rows: Iterable[Row], empty: str) -> None:
        """A table, or `empty` where there is no row."""
        if self.as_json:
            return
        rows = self._cleaned(list(rows))
        if not rows:
            self.note(empty)
            return
        piped = self._colourless(sys.stdout) and not sys.stdout.isatty()
        # rich takes a second for each thousand rows
        if piped or len(rows) > LONG:
            told: list[Styled] | None = aligned(columns, rows)
        else:
            told = spilled(columns, rows, self.width)
        if told is not None:
            self.lines((line,) for line in told)
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for number, column in enumerate(columns):  # the first one is what people copy
            table.add_column(column, overflow="fold", no_wrap=number == 0)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row.cells), style=row.style)
        self.out.print(table)

    def _cleaned(self, rows: Sequence[Row]) -> list[Row]:
        """Each text once: a column of ten thousand rows says the same again and again."""
        known = {cell: "" for row in rows for cell in row.cells}
        known = {cell: self.clean(cell) for cell in known}
        return [Row(tuple(known[cell] for cell in row.cells), row.style) for row in rows]

    def lines(self, lines: Iterable[Line], *, beside: bool = False) -> None:
        """Lines that are clean already: data, or beside it; a full disk stops only the first."""
        if beside:
            with suppress(OSError):  # as above
                self._lines(lines, sys.stderr)
        elif not self.as_json:
            self._lines(lines, sys.stdout)

    def _lines(self, lines: Iterable[Line], stream: TextIO) -> None:
        """Where there is no colour, rich is not even imported."""
        if self._colourless(stream):
            self._write(stream, "".join(f"{''.join(t for t, _ in line)}\n" for line in lines))
            return
        from rich.text import Text

        console = self.err if stream is sys.stderr else self.out
        for line in lines:
            console.print(Text.assemble(*line), soft_wrap=True)

    def _colourless(self, stream: TextIO) -> bool:
        return self._plain or not (stream.isatty() or os.environ.get("FORCE_COLOR"))

    def findings(self, findings: Sequence[Finding], *, beside: bool = True) -> None:
        """Each with its place, its code, how to mend it and the line it is about."""
        width = min(LONGEST_QUOTE, self._width(sys.stderr if beside else sys.stdout))
        self.lines(lines(findings, self.clean, width), beside=beside)

    def error(self, error: StockctlError) -> None:
        """What, where, what to do next."""
        details = (f"  {line}" for line in self.clean(error.details).splitlines())
        hints = (f"→ {line}" for line in self.clean(error.hint).splitlines())
        told: list[Line] = [((f"error: {self.clean(str(error))}", "bold red"),)]
        told += [((line, ""),) for line in details]
        told += [((line, "cyan"),) for line in hints]
        self.lines(told, beside=True)

    def document(self, document: dict[str, Any], *, safe: bool = False) -> None:
        """One JSON document, the only thing on stdout. `safe`: nothing is left to be masked."""
        import json

        masked = document if safe else self.redactor.data(document)
        unicode = "utf" in (sys.stdout.encoding or "").lower()
        text = json.dumps(masked, ensure_ascii=not unicode, default=str)
        name = self.environment and json.dumps(self.environment)[1:-1]
        text = addressed(text, name)
        # the same document, but none of its lines is a command to a CI runner
        self.write(text.replace("##[", "##\\u005b").replace("##vso[", "##vso\\u005b") + "\n")

    def write(self, text: str) -> None:
        """As it is, to stdout."""
        self._write(sys.stdout, text)

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            from stockctl.cli.console import hush

            hush(stream)


def _replace_control(found: re.Match[str]) -> str:
    return "    " if found.group() == "\t" else ""
