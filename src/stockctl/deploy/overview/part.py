"""A piece of the overview: what it says, how bad that is, what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How a piece stands. `unknown`: it could not be asked."""

    GOOD = "good"
    NOTICE = "notice"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Advice:
    """The next command to type, and why. The lower `rank`, the sooner: causes before effects."""

    rank: int
    command: str
    why: str
    level: Level = Level.BAD


@dataclass(frozen=True, slots=True)
class Part:
    """`name` on the screen; `said` in one line each; `data` for programs."""

    name: str
    level: Level
    said: tuple[str, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    advice: tuple[Advice, ...] = ()


Ask = Callable[[], Part]

# Ranks: what is broken deeper down comes first.
ENGINE, DATABASE, SERVICE, RELEASE, LEDGER, LOCKS, BACKUP, DISK, TIDY = range(9)


def unknown(name: str, why: str, environment: str, rank: int) -> Part:
    """One that could not be asked."""
    advice = Advice(rank, f"stockctl doctor {environment}", f"{name}: {why}", Level.UNKNOWN)
    return Part(name, Level.UNKNOWN, (why,), {"error": why}, (advice,))
