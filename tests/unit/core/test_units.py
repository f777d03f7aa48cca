"""Durations, sizes and instants as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.core.units import (
    counted,
    format_age,
    format_duration,
    format_instant,
    format_size,
    parse_duration,
    parse_instant,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("2s", 2.0),
        ("1.5s", 1.5),
        ("15m", 900.0),
        ("48h", 172800.0),
        ("7d", 604800.0),
        ("1h30m", 5400.0),
        ("1m1ms", 60.001),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2",
        "2 s",
        " 2s",
        "2s ",
        "-1s",
        "s",
        "2S",
        "2sec",
        "1h 30m",
        "1e3s",
        ".5s",
        "2s3",
        "\u0662s",
    ],
)
def test_what_is_no_duration_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match='expected a duration like "2s"'):
        parse_duration(text)


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.sampled_from(["ms", "s", "m", "h", "d"])),
        min_size=1,
        max_size=4,
    )
)
def test_a_sum_of_parts_is_their_sum(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == pytest.approx(
        sum(parse_duration(f"{number}{unit}") for number, unit in parts)
    )


@given(st.integers(0, 3600 * 48 - 1))
def test_what_is_shown_below_two_days_reads_back(seconds: int) -> None:
    shown = format_duration(seconds).replace(" ", "")
    assert parse_duration(shown) == pytest.approx(seconds, abs=60 if seconds >= 3600 else 0.05)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (0.44, "0.4s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (185, "3m 05s"),
        (7800, "2h 10m"),
        (3599.9, "1h 00m"),
        (5 * 86400 + 3 * 3600, "5d 3h"),
        (-90, "-1m 30s"),
    ],
)
def test_a_duration_is_shown(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (5e9, "5.0 GB"),
        (7e15, "7000.0 TB"),
    ],
)
def test_a_size_is_shown(size: float, text: str) -> None:
    assert format_size(size) == text


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 1, 1)))
def test_an_instant_comes_back_to_the_second(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    assert parse_instant(format_instant(aware)) == aware.replace(microsecond=0)


def test_an_instant_is_shown_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert format_instant(datetime(2026, 11, 22, 4, 0, tzinfo=berlin)) == "2026-11-22T03:00:00Z"


@pytest.mark.parametrize("text", ["", "2026-11-22", "2026-11-22T03:00:00", "2026-13-01T00:00:00Z"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not match"):
        parse_instant(text)


def test_an_age_is_shown() -> None:
    assert format_age(1) == "just now"
    assert format_age(185) == "3m 05s ago"


@pytest.mark.parametrize(("many", "said"), [(0, "0 checks"), (1, "1 check"), (2, "2 checks")])
def test_counted(many: int, said: str) -> None:
    assert counted(many, "check") == said
