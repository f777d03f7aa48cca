"""A cron expression: what `backup.schedule` says, for cron, for systemd and for us."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_PART = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?")
_LONGEST = 8 * 366 + 1  # days from one 29 February to the next, over a year like 2100
_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


@dataclass(frozen=True, slots=True)
class Calendar:
    """Five fields, as crontab(5) has them, without names of days and months."""

    fields: tuple[str, str, str, str, str]

    @classmethod
    def parse(cls, text: str) -> Calendar:
        """Raises ValueError with the reason."""
        words = text.split()
        if len(words) != len(_FIELDS):
            raise ValueError('expected five fields like "0 3 * * *": minute hour day month weekday')
        for word, (name, low, high) in zip(words, _FIELDS, strict=True):
            _values(word, name, low, high)
        minute, hour, day, month, weekday = words
        return cls((minute, hour, day, month, weekday))

    def __str__(self) -> str:
        return " ".join(self.fields)

    def after(self, now: datetime) -> datetime:
        """The next time, later than `now`; both as the clock on the wall shows them, without a
        zone. Raises ValueError where there is none, as for 30 February."""
        minute, hour = self.fields[:2]
        hours, minutes = _values(hour, "hour", 0, 23), _values(minute, "minute", 0, 59)
        times = [time(hour, minute) for hour in hours for minute in minutes]
        for days in range(_LONGEST):
            day = now.date() + timedelta(days=days)
            if self._is_on(day):
                for each in times:
                    if (found := datetime.combine(day, each)) > now:
                        return found
        raise ValueError(f"{self} never comes")

    def _is_on(self, day: date) -> bool:
        """Cron joins a day and a weekday by "or" where both are given (crontab(5))."""
        of_month, month, weekday = self.fields[2:]
        if day.month not in _values(month, "month", 1, 12):
            return False
        on_day = day.day in _values(of_month, "day", 1, 31)
        weekdays = {value % 7 for value in _values(weekday, "weekday", 0, 7)}
        on_weekday = day.isoweekday() % 7 in weekdays
        if of_month.startswith("*") or weekday.startswith("*"):
            return on_day and on_weekday
        return on_day or on_weekday

    def on_calendar(self) -> str:
        """The same for a systemd timer (systemd.time(7), "Calendar Events"). Raises ValueError for
        what systemd cannot say: cron joins a day and a weekday by "or", systemd by "and"."""
        minute, hour, day, month, weekday = self.fields
        if day != "*" and weekday != "*":
            raise ValueError("a day of the month or a weekday, systemd cannot say both")
        date = f"*-{_listed(month, 1, 12)}-{_listed(day, 1, 31)}"
        time = f"{_listed(hour, 0, 23)}:{_listed(minute, 0, 59)}:00"
        if weekday == "*":
            return f"{date} {time}"
        days = sorted({value % 7 for value in _values(weekday, "weekday", 0, 7)})
        return f"{','.join(_WEEKDAYS[each] for each in days)} {date} {time}"


def _listed(word: str, low: int, high: int) -> str:
    if word == "*":
        return "*"
    return ",".join(f"{value:02d}" for value in _values(word, "", low, high))


def _values(word: str, name: str, low: int, high: int) -> list[int]:
    found: set[int] = set()
    for part in word.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{name}: {part!r} is not a number, a range, a step or *")
        first, last, step = (int(each) if each else None for each in match.groups())
        start = low if first is None else first
        end = high if first is None or (step and last is None) else last if last else start
        if not low <= start <= end <= high or step == 0:
            raise ValueError(f"{name}: {part!r} is not within {low} to {high}")
        found.update(range(start, end + 1, step or 1))
    return sorted(found)
