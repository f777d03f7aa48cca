"""Steps nest, fail and take the time that the clock says."""

from __future__ import annotations

from typing import Any

import pytest

from stockctl.core.progress import (
    Line,
    Message,
    Progress,
    StepEnded,
    StepStarted,
    Transferred,
    silent,
)
from stockctl.core.report import Check, Finding, Report, Severity


def test_a_step_takes_what_the_clock_says(progress: Progress, clock: Any, recorder: Any) -> None:
    with progress.step("dump") as step:
        clock.sleep(4.5)
        step.detail = "12 MB"
    assert recorder.events == [StepStarted("dump"), StepEnded("dump", 4.5, True, "12 MB")]
    assert progress.steps == (StepEnded("dump", 4.5, True, "12 MB"),)


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_an_exception_marks_the_step_and_passes(
    progress: Progress, failure: type[BaseException]
) -> None:
    with pytest.raises(failure), progress.step("dump"):
        raise failure
    assert [step.ok for step in progress.steps] == [False]


def test_a_step_may_fail_without_raising(progress: Progress) -> None:
    with progress.step("smoke") as step:
        step.ok = False
    assert progress.steps[0].ok is False


def test_steps_nest_and_the_inner_one_ends_first(progress: Progress, clock: Any) -> None:
    with progress.step("outer"):
        clock.sleep(1)
        with progress.step("inner"):
            clock.sleep(2)
    assert [(s.name, s.duration_s) for s in progress.steps] == [("inner", 2.0), ("outer", 3.0)]


def test_a_failing_inner_step_fails_the_outer_one(progress: Progress) -> None:
    with pytest.raises(ValueError, match="no"), progress.step("outer"), progress.step("inner"):
        raise ValueError("no")
    assert [step.ok for step in progress.steps] == [False, False]


def test_bytes_lines_and_messages_are_passed_on(progress: Progress, recorder: Any) -> None:
    with progress.step("dump") as step:
        step.transferred(5, 10)
        step.line("pg_dump: reading")
    progress.say("done")
    progress.warn("slow")
    assert recorder.events[1:3] == [Transferred("dump", 5, 10), Line("pg_dump: reading")]
    assert recorder.events[-2:] == [Message("done"), Message("slow", Severity.WARNING)]


def test_silence_is_a_reporter() -> None:
    silent(Message("x"))


def test_a_report_of_nothing_is_not_good_news() -> None:
    assert not Report(()).ok
    assert Report((Check("a", True),)).ok
    report = Report((Check("a", True), Check("b", False)))
    assert not report.ok
    assert [check.name for check in report.failed] == ["b"]


def test_findings_sort_by_place() -> None:
    from stockctl.core.errors import Where

    def at(file: str, line: int | None) -> Finding:
        return Finding("C001", Severity.ERROR, "x", Where(file, line))

    later, earlier, other = at("a", 10), at("a", 9), at("b", None)
    nowhere = Finding("C001", Severity.ERROR, "x")
    assert sorted([other, later, earlier, nowhere], key=Finding.sort_key) == [
        nowhere,
        earlier,
        later,
        other,
    ]
