"""A schedule without cron: each time once, one after the other, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.conftest import FakeClock

from stockctl.backup.schedule import Job, job
from stockctl.core.errors import ConfigurationError, Terminated
from stockctl.deploy.timekeeper import keep_time
from stockctl.system.local import LocalHost

PROGRAM = """#!/bin/sh
cd "$(dirname "$0")"
echo "$6" >> made
[ ! -e broken ] || { echo "the disk is full" >&2; exit 6; }
"""


class Hours(FakeClock):
    """Time flies; after a while somebody ends us."""

    hours = 24.5
    set_back_s = 0.0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.set_back_s and self.slept_s > 1800:
            self.slept_s -= self.set_back_s
            self.set_back_s = 0.0
        if self.slept_s >= self.hours * 3600:
            raise Terminated


def scheduled(folder: Path, times: str) -> Job:
    program = folder / "program"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return job("prod", folder, program, times, {})


def ran(made: Job, clock: Hours, *, at_once: bool = False) -> tuple[list[str], list[str]]:
    """What the program was called for, and what was said."""
    said: list[str] = []
    with pytest.raises(Terminated):
        keep_time(made, LocalHost(), clock, said.append, at_once=at_once)
    file = made.root / "made"
    return (file.read_text().split() if file.exists() else []), said


def at_local(hour: int, minute: int) -> datetime:
    return datetime(2026, 11, 22, hour, minute).astimezone().astimezone(UTC)


def test_each_time_once_and_then_it_prunes(tmp_path: Path) -> None:
    made, said = ran(scheduled(tmp_path, "0 */8 * * *"), Hours(at_local(3, 0)))
    assert made == ["create", "prune"] * 3
    assert said[:2] == [
        "next backup of prod at 2026-11-22 08:00",
        "backup of prod done in 0.0s",
    ]
    assert said[-1] == "next backup of prod at 2026-11-23 08:00"


def test_one_at_once_and_not_a_second_one_before_its_time(tmp_path: Path) -> None:
    made, said = ran(scheduled(tmp_path, "0 3 * * *"), Hours(at_local(3, 0)), at_once=True)
    assert made == ["create", "prune"] * 2
    assert said[1] == "next backup of prod at 2026-11-23 03:00"


def test_one_that_fails_is_told_and_prunes_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    made, said = ran(scheduled(tmp_path, "0 4,5 * * *"), Hours(at_local(3, 0)))
    assert made == ["create", "create"]
    assert said[1:3] == ["the disk is full", "backup of prod failed with exit code 6"]


def test_a_clock_that_is_set_back(tmp_path: Path) -> None:
    """An hour back at 03:30: what is due before the old time comes, and comes once."""
    clock = Hours(at_local(3, 0))
    clock.set_back_s, clock.hours = 3600.0, 0.9
    made, said = ran(scheduled(tmp_path, "45 * * * *"), clock)
    assert made == ["create", "prune"] * 2
    assert said[2] == "next backup of prod at 2026-11-22 03:45"


@pytest.mark.parametrize(("times", "at_once"), [("0 4-6 22 * *", False), ("0 4,5 * * *", True)])
def test_a_time_that_comes_while_a_backup_runs_is_not_made_up_for(
    tmp_path: Path, times: str, at_once: bool
) -> None:
    clock = Hours(at_local(3, 0))

    class Slow(LocalHost):
        def run(self, *arguments, **options):  # type: ignore[no-untyped-def]
            clock.slept_s += 5000
            return super().run(*arguments, **options)

    said: list[str] = []
    made = scheduled(tmp_path, times)
    with pytest.raises(Terminated):
        keep_time(made, Slow(), clock, said.append, at_once=at_once)
    assert (tmp_path / "made").read_text().split() == ["create", "prune"]
    assert clock.now() - clock.at >= timedelta(hours=24)


def test_what_never_comes_is_said_before_anything(tmp_path: Path) -> None:
    made = scheduled(tmp_path, "0 0 30 2 *")
    with pytest.raises(ConfigurationError, match="never comes"):
        keep_time(made, LocalHost(), FakeClock(), print, at_once=True)
    assert not (tmp_path / "made").exists()
