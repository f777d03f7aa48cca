"""Journal lines come back as they were written; a crash costs one line and no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.core.journal import Entry, Outcome, operations

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def entry(operation: str, outcome: Outcome, minutes: int = 0, detail: str = "") -> Entry:
    at = AT + timedelta(minutes=minutes)
    return Entry(operation, "deploy", "prod", outcome, "ada@host", at, detail)


@given(
    st.builds(
        Entry,
        operation=st.text(),
        command=st.text(),
        environment=st.text(),
        outcome=st.sampled_from(Outcome),
        who=st.text(),
        at=st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 1, 1)).map(
            lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
        ),
        detail=st.text(),
    )
)
def test_an_entry_is_one_line_and_comes_back(written: Entry) -> None:
    line = written.to_line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.splitlines() == [line[:-1]]
    assert Entry.from_line(line) == written


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"[1]",
        b"5",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"{}",
        b'{"operation": "a"}',
        entry("a", Outcome.STARTED).to_line().replace(b"started", b"paused"),
        entry("a", Outcome.STARTED).to_line().replace(b"2026-11-22T03", b"22.11.2026"),
    ],
)
def test_a_line_that_is_not_ours_is_ignored(line: bytes) -> None:
    assert Entry.from_line(line) is None


def test_a_last_line_cut_anywhere_is_ignored() -> None:
    whole = entry("a", Outcome.STARTED).to_line()
    last = entry("a", Outcome.FINISHED).to_line()
    for length in range(len(last) - 1):
        found = operations([whole, last[:length]])
        assert [each.outcome for each in found] == ["unfinished"]


def test_start_and_end_are_joined_in_the_order_of_the_starts() -> None:
    lines = [
        entry("a", Outcome.STARTED).to_line(),
        entry("b", Outcome.STARTED, 1).to_line(),
        entry("b", Outcome.FAILED, 2, "no space").to_line(),
        entry("a", Outcome.FINISHED, 3).to_line(),
        entry("c", Outcome.STARTED, 4).to_line(),
    ]
    found = operations(lines)
    assert [(o.started.operation, o.outcome) for o in found] == [
        ("a", "finished"),
        ("b", "failed"),
        ("c", "unfinished"),
    ]
    assert found[1].ended is not None
    assert found[1].ended.detail == "no space"


def test_an_end_without_a_start_is_no_operation() -> None:
    assert operations([entry("a", Outcome.FINISHED).to_line()]) == []


def test_a_name_that_is_no_utf_8_is_written_and_comes_back() -> None:
    written = entry("a", Outcome.FAILED, detail="cannot read \udcff.sql")
    assert Entry.from_line(written.to_line()) == written
