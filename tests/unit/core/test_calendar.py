"""Times as cron writes them."""

from __future__ import annotations

from datetime import datetime

import pytest

from stockctl.core.calendar import Calendar


@pytest.mark.parametrize(
    ("cron", "systemd"),
    [
        ("0 3 * * *", "*-*-* 03:00:00"),
        ("*/20 * * * *", "*-*-* *:00,20,40:00"),
        ("5,35 0-4/2 1 */6 *", "*-01,07-01 00,02,04:05,35:00"),
        ("30 4 * * 1-5", "Mon,Tue,Wed,Thu,Fri *-*-* 04:30:00"),
        ("0 0 * * 7", "Sun *-*-* 00:00:00"),
        ("10/25 * * * *", "*-*-* *:10,35:00"),
    ],
)
def test_the_same_for_systemd(cron: str, systemd: str) -> None:
    assert Calendar.parse(cron).on_calendar() == systemd
    assert str(Calendar.parse(f"  {cron} ")) == cron


@pytest.mark.parametrize(
    "text",
    ["", "0 3 * *", "0 3 * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
     "* * * * 8", "5-2 * * * *", "*/0 * * * *", "MON * * * *", "1,,2 * * * *", "-1 * * * *"],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected five fields|is not"):
        Calendar.parse(text)


def test_what_systemd_cannot_say() -> None:
    with pytest.raises(ValueError, match="systemd cannot"):
        Calendar.parse("0 3 1 * 1").on_calendar()


@pytest.mark.parametrize(
    ("cron", "now", "then"),
    [
        ("* * * * *", "2026-11-22 03:00:00", "2026-11-22 03:01:00"),
        ("* * * * *", "2026-11-22 03:00:59.9", "2026-11-22 03:01:00"),
        ("0 3 * * *", "2026-11-22 02:59:59", "2026-11-22 03:00:00"),
        ("0 3 * * *", "2026-11-22 03:00:00", "2026-11-23 03:00:00"),
        ("*/20 4 * * *", "2026-12-31 04:40:01", "2027-01-01 04:00:00"),
        ("0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"),
        ("0 0 * * 7", "2026-11-22 00:00:00", "2026-11-29 00:00:00"),
        ("30 4 13 * 5", "2026-11-22 00:00:00", "2026-11-27 04:30:00"),
        ("30 4 28 * 5", "2026-11-27 05:00:00", "2026-11-28 04:30:00"),
        ("0 6 */2 * 1", "2026-11-22 00:00:00", "2026-11-23 06:00:00"),
    ],
)
def test_when_it_comes_next(cron: str, now: str, then: str) -> None:
    assert str(Calendar.parse(cron).after(datetime.fromisoformat(now))) == then


def test_what_never_comes() -> None:
    with pytest.raises(ValueError, match="0 0 30 2 \\* never comes"):
        Calendar.parse("0 0 30 2 *").after(datetime(2026, 1, 1))
