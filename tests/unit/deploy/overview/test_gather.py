"""No piece waits for another, holds up the screen or takes the others along."""

from __future__ import annotations

import threading
import time

from stockctl.core.errors import DatabaseUnreachable
from stockctl.deploy.overview.gather import gather
from stockctl.deploy.overview.part import Advice, Level, Part


def good(name: str) -> Part:
    return Part(name, Level.GOOD, ("fine",))


def test_a_piece_that_hangs_is_left_behind_and_said() -> None:
    never = threading.Event()

    def hang() -> Part:
        never.wait(60)
        return good("b")

    began = time.monotonic()
    found = gather({"a": (1, lambda: good("a")), "b": (2, hang)}, "prod", deadline_s=0.2)
    took = time.monotonic() - began
    never.set()
    assert took < 20
    assert [part.level for part in found.parts] == [Level.GOOD, Level.UNKNOWN]
    assert found.parts[1].said == ("no answer within 0.2 s",)
    assert [each.command for each in found.advice] == ["stockctl doctor prod"]
    assert not found.well


def test_all_are_asked_at_once() -> None:
    barrier = threading.Barrier(6, timeout=20)

    def meet() -> Part:
        barrier.wait()  # breaks unless all six are there together
        return good("x")

    found = gather({f"p{n}": (n, meet) for n in range(6)}, "prod", deadline_s=30)
    assert found.well


def test_an_error_and_a_mistake_of_ours_stop_nothing() -> None:
    def down() -> Part:
        raise DatabaseUnreachable("cannot connect to stock on db:5432", details="secret words")

    def broken() -> Part:
        raise ZeroDivisionError

    found = gather({"db": (1, down), "odd": (2, broken), "ok": (3, lambda: good("ok"))}, "prod")
    assert [part.said[0] for part in found.parts] == [
        "cannot connect to stock on db:5432",
        "could not be asked: ZeroDivisionError: ",
        "fine",
    ]


def test_the_order_is_that_of_the_questions_and_causes_come_first() -> None:
    def part(name: str, *advice: Advice) -> Part:
        return Part(name, Level.BAD, ("x",), {}, advice)

    parts = {
        "a": part("a", Advice(5, "tidy", "small", Level.NOTICE), Advice(3, "look", "effect")),
        "b": part("b", Advice(1, "mend", "cause"), Advice(4, "look", "the same again")),
        "c": part("c", Advice(0, "doctor", "?", Level.UNKNOWN)),
    }
    found = gather({name: (1, lambda each=each: each) for name, each in parts.items()}, "prod")  # type: ignore[misc]
    assert [part.name for part in found.parts] == ["a", "b", "c"]
    assert [each.command for each in found.advice] == ["mend", "look", "doctor", "tidy"]
    assert next(each.why for each in found.advice if each.command == "look") == "effect"
