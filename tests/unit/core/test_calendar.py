"""Times as cron writes them."""

from __future__ import annotations

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
