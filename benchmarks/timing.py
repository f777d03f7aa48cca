"""What a command took: seconds on the clock and of the processors, and its peak of memory.

The clock alone says little on a machine that others work on, too.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds; `own_s` is the processors' time of the command and its children, `server_s` that of
    the database server's sessions which ended meanwhile. `peak_mb`: its largest process."""

    wall_s: float
    own_s: float
    server_s: float
    peak_mb: float


def run(argv: list[str], *, server: int | None = None, **settings: Any) -> Took:
    """Runs it to its end, which must be a good one. `server` is the process of a postmaster."""
    before = session_seconds(server)
    started = time.perf_counter()
    child = subprocess.Popen(argv, **settings)
    _pid, status, used = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(map(str, argv))}: exit {child.returncode}")
    return Took(
        wall_s,
        used.ru_utime + used.ru_stime,
        session_seconds(server) - before,
        used.ru_maxrss / 1000,
    )


def session_seconds(postmaster: int | None) -> float:
    """What sessions that are over have used: proc(5), cutime and cstime."""
    if postmaster is None:
        return 0.0
    time.sleep(0.1)  # the last of them is just leaving
    fields = Path(f"/proc/{postmaster}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")


def postmaster(data: Path) -> int:
    """The process of the server that has its data there."""
    return int((data / "postmaster.pid").read_text().split()[0])


def in_turn(rounds: int, contestants: dict[str, Callable[[], Took]]) -> dict[str, list[Took]]:
    """Each of them once a round, after a round that only fills the caches."""
    taken: dict[str, list[Took]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, work in contestants.items():
            took = work()
            if number:
                taken[name].append(took)
    return taken


def report(taken: dict[str, list[Took]]) -> None:
    """The best of each by the clock, against the first of them; medians in brackets."""
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, seconds: clock (median), CPU")
    base = None
    for name, each in taken.items():
        best = min(each, key=lambda took: took.wall_s)
        middle = sorted(took.wall_s for took in each)[len(each) // 2]
        base = base or (best.wall_s, middle)
        server = f"{best.own_s:5.2f} + {best.server_s:5.2f} of the server"
        ratio = f"{best.wall_s / base[0]:5.2f} ({middle / base[1]:.2f})"
        print(
            f"{name:30} {best.wall_s:6.2f} ({middle:6.2f})  {server}"
            f"  {best.peak_mb:4.0f} MB  {ratio}"
        )
