"""Waits for the times of a schedule and makes the backups: for a container, which has no cron.

One child at a time, so that two never overlap; a time that comes meanwhile is not made up for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

from stockctl.backup.schedule import Job
from stockctl.core.calendar import Calendar
from stockctl.core.clock import Clock
from stockctl.core.command import Command
from stockctl.core.errors import ConfigurationError
from stockctl.core.units import format_duration
from stockctl.system.host import Host

# Somebody may set the clock while we sleep, and a machine that was suspended wakes up late.
STEP_S = 20.0
_LONGEST_S = 7 * 86400.0


def keep_time(
    job: Job, host: Host, clock: Clock, say: Callable[[str], None], *, at_once: bool
) -> NoReturn:
    """Until a signal comes. A backup that fails is told, and the next one is made all the same.

    Raises ConfigurationError where no time ever comes.
    """
    due = _next(job.calendar, _local(clock))
    if at_once:
        _make(job, host, clock, say)
        due = _next(job.calendar, _local(clock))
    while True:
        say(f"next backup of {job.environment} at {due:%Y-%m-%d %H:%M}")
        _wait(job.calendar, due, clock)
        _make(job, host, clock, say)
        due = _next(job.calendar, _local(clock))


def _wait(calendar: Calendar, due: datetime, clock: Clock) -> None:
    """Where the clock is set back, the next time from there is due."""
    seen = _local(clock)
    while (now := _local(clock)) < due:
        if now < seen:
            due = _next(calendar, now)
        seen = now
        clock.sleep(min(STEP_S, (due - now).total_seconds()))


def _make(job: Job, host: Host, clock: Clock, say: Callable[[str], None]) -> None:
    """A backup; only when that went well, what retention lets go."""
    began_s = clock.monotonic()
    for command in job.commands():
        done = host.run(Command(command), timeout_s=_LONGEST_S, check=False)
        if not done.ok:
            say(done.stderr.rstrip())
            say(f"backup of {job.environment} failed with exit code {done.exit_code}")
            return
    took = format_duration(clock.monotonic() - began_s)
    say(f"backup of {job.environment} done in {took}")


def _next(calendar: Calendar, now: datetime) -> datetime:
    try:
        return calendar.after(now)
    except ValueError as error:
        raise ConfigurationError(f"backup.schedule: {error}") from None


def _local(clock: Clock) -> datetime:
    """As a clock on this machine's wall shows it: the times of cron have no zone."""
    return clock.now().astimezone().replace(tzinfo=None)
