"""Progress on the terminal: a live line with colour, or one plain line a step without a TTY."""

from __future__ import annotations

import time
from textwrap import wrap
from typing import TYPE_CHECKING

from stockctl.cli.output import Output
from stockctl.core.progress import Event, Line, Message, StepEnded, StepStarted, Transferred
from stockctl.core.report import Severity
from stockctl.core.units import format_duration, format_size

if TYPE_CHECKING:
    from rich.status import Status

SHOWN_LINE = 80  # characters of what a tool prints, beside the spinner
REFRESH_S = 0.1
BAR = 16  # characters
DETAIL = 52  # columns before what a step says of itself
NARROW = 20
SURE_S = 3.0  # before that nobody can say how long it will take


def folded(detail: str, room: int) -> str:
    """On lines of so many characters below each other, in its column; as it is where that would
    be a narrow one, or none."""
    if room < NARROW:
        return detail
    lines = wrap(detail, room, break_long_words=False, break_on_hyphens=False)
    return f"\n{'':{DETAIL}}".join(lines)


class TerminalReporter:
    """Renders events to stderr. Steps may nest; an inner one is indented."""

    def __init__(self, output: Output, *, verbose: bool) -> None:
        self._output = output
        self._verbose = verbose
        self._running: list[tuple[str, float]] = []
        self._status: Status | None = None
        self._beside = ""
        self._shown_at = 0.0

    def __call__(self, event: Event) -> None:
        match event:
            case StepStarted(name):
                self._running.append((name, time.monotonic()))
                self._beside = ""
                self._show(force=True)
            case StepEnded():
                self._running.pop()
                self._end(event)
            case Transferred():
                self._beside = self._rate(event)
                self._show()
            case Line(text) if self._verbose:
                self._output.note(f"    {text}", style="dim")
            case Line(text):
                self._beside = text.strip()[:SHOWN_LINE]
                self._show()
            case Message(text, Severity.WARNING):
                self._output.warning(text)
            case Message(text):
                self._output.note(text)

    def stop(self) -> None:
        """Take the live line away, before anything else is printed."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _end(self, step: StepEnded) -> None:
        if not self._running:
            self.stop()
        mark, style = ("✓", "green") if step.ok else ("✗", "red")
        indent = "  " * len(self._running)
        room = self._output.err.width - DETAIL if self._output.animated else 0
        detail = f"  {folded(step.detail, room)}" if step.detail else ""
        name = f"{indent}{mark} {step.name}"
        self._output.note(f"{name:<42} {format_duration(step.duration_s):>7}{detail}", style=style)
        self._beside = ""
        self._show(force=True)

    def _rate(self, event: Transferred) -> str:
        seconds = max(time.monotonic() - self._running[-1][1], 0.001) if self._running else 1.0
        rate = f"{format_size(event.done / seconds)}/s"
        if not event.total:
            return f"{format_size(event.done)}  {rate}"
        part = min(event.done / event.total, 1.0)
        bar = "█" * round(part * BAR) + "░" * (BAR - round(part * BAR))
        left = ""
        if event.done and seconds >= SURE_S and part < 1.0:
            left = f"  about {format_duration(seconds / part - seconds)} left"
        return f"{bar}  {format_size(event.done)} of about {format_size(event.total)}  {rate}{left}"

    def _show(self, *, force: bool = False) -> None:
        """Refresh the live line; without a terminal there is none."""
        output = self._output
        if not self._running or not output.animated:
            return
        now = time.monotonic()
        if not force and now - self._shown_at < REFRESH_S:
            return
        self._shown_at = now
        from rich.text import Text

        name, started = self._running[-1]
        waited = format_duration(now - started)
        text = Text(output.clean(f"{name}  {waited}  {self._beside}"), no_wrap=True)
        if self._status is None:
            spinner = "dots" if output.err.encoding.startswith("utf") else "line"
            self._status = output.err.status(text, spinner=spinner)
            self._status.start()
        else:
            self._status.update(text)
