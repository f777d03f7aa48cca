"""What an operation tells whoever watches: steps, bytes, messages. The terminal renders them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from stockctl.core.clock import Clock
from stockctl.core.report import Severity


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins."""

    name: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step is over; `detail` says what came of it."""

    name: str
    duration_s: float
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Transferred:
    """Bytes moved so far in the running step; `total` where it can be known."""

    name: str
    done: int
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a tool printed while the step ran."""

    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """Something a person should know."""

    text: str
    severity: Severity = Severity.INFO


Event = StepStarted | StepEnded | Transferred | Line | Message
Reporter = Callable[[Event], None]


def silent(_event: Event) -> None:
    """The Reporter for those who do not watch."""


class Step:
    """The running step, for the code inside it."""

    def __init__(self, name: str, report: Reporter) -> None:
        self.name = name
        self.detail = ""
        self.ok = True  # a step may also fail without raising
        self._report = report

    def transferred(self, done: int, total: int | None = None) -> None:
        """Say how many bytes have moved."""
        self._report(Transferred(self.name, done, total))

    def line(self, text: str) -> None:
        """Pass on what a tool printed."""
        self._report(Line(text))


class Progress:
    """Tells a Reporter about the steps of one operation and remembers how they went."""

    def __init__(self, report: Reporter, clock: Clock) -> None:
        self._report = report
        self._clock = clock
        self._ended: list[StepEnded] = []

    @property
    def steps(self) -> tuple[StepEnded, ...]:
        """The steps that are over, in order."""
        return tuple(self._ended)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Runs the block as one step; an exception marks it as failed and goes on its way."""
        self._report(StepStarted(name))
        started = self._clock.monotonic()
        step = Step(name, self._report)
        try:
            yield step
        except BaseException:
            step.ok = False
            raise
        finally:
            ended = StepEnded(name, self._clock.monotonic() - started, step.ok, step.detail)
            self._ended.append(ended)
            self._report(ended)

    def ended(self, name: str, duration_s: float, *, ok: bool = True, detail: str = "") -> None:
        """A step that went on beside others, and is over."""
        self._report(StepStarted(name))
        step = StepEnded(name, duration_s, ok, detail)
        self._ended.append(step)
        self._report(step)

    def say(self, text: str) -> None:
        """A message for the person who watches."""
        self._report(Message(text))

    def warn(self, text: str) -> None:
        """The same, for what may need attention."""
        self._report(Message(text, Severity.WARNING))
