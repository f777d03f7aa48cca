"""Asks all pieces at once. None waits for another, and none can hold up the screen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from stockctl.core.errors import StockctlError
from stockctl.deploy.overview.part import Advice, Ask, Level, Part, unknown

DEADLINE_S = 2.0  # for each; they run side by side


@dataclass(frozen=True, slots=True)
class Overview:
    """The pieces in their order, and what to do, the most urgent first."""

    parts: tuple[Part, ...]
    advice: tuple[Advice, ...]

    @property
    def well(self) -> bool:
        """Nothing is bad, and everything could be asked."""
        return all(part.level in (Level.GOOD, Level.NOTICE) for part in self.parts)

    def part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)


def gather(
    questions: Mapping[str, tuple[int, Ask]], environment: str, *, deadline_s: float = DEADLINE_S
) -> Overview:
    """`questions`: for each piece its rank and what asks it. One that does not answer in time is
    left behind on its thread, a daemon, and said to be so."""
    answers: SimpleQueue[tuple[str, Part]] = SimpleQueue()
    for name, (rank, ask) in questions.items():
        arguments = (name, rank, ask, environment, answers)
        Thread(target=_ask, args=arguments, daemon=True, name=f"status-{name}").start()
    found: dict[str, Part] = {}
    until = time.monotonic() + deadline_s
    while len(found) < len(questions):
        try:
            name, part = answers.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        found[name] = part
    late = f"no answer within {deadline_s:g} s"
    parts = [
        found.get(name) or unknown(name, late, environment, rank)
        for name, (rank, _) in questions.items()
    ]
    return Overview(tuple(parts), _ordered(parts))


def _ask(
    name: str, rank: int, ask: Ask, environment: str, answers: SimpleQueue[tuple[str, Part]]
) -> None:
    try:
        part = ask()
    except StockctlError as error:
        part = unknown(name, str(error), environment, rank)
    except Exception as error:  # a mistake in one piece must not take the others along
        part = unknown(
            name, f"could not be asked: {type(error).__name__}: {error}", environment, rank
        )
    answers.put((name, part))


def _ordered(parts: list[Part]) -> tuple[Advice, ...]:
    """Each command once, for its most urgent reason; what is bad before what is worth a look."""
    weight = {Level.BAD: 0, Level.UNKNOWN: 1, Level.NOTICE: 2, Level.GOOD: 3}
    every = [advice for part in parts for advice in part.advice]
    every.sort(key=lambda each: (weight[each.level], each.rank))
    return tuple(
        {each.command: each for each in reversed(every)}[c]
        for c in dict.fromkeys(a.command for a in every)
    )
