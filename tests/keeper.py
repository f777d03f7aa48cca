"""Ends the servers of a run of the tests when the run ends, however it ends: also by kill -9.

Argument: the run's folder. Standard input is a pipe that nobody but the run holds, so its end is
the run's. What is looked at is the folder, and each that `elsewhere` in it links to.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

GRACE_S = 10.0
POLL_S = 0.05


def servers(root: Path) -> Iterator[int]:
    """PostgreSQL's by its own file, others by a `pid`. A number may be another's by now."""
    for file in [*root.rglob("postmaster.pid"), *root.glob("pid"), *root.glob("*/pid")]:
        try:
            pid = int(file.read_text().split()[0])
            process = Path(f"/proc/{pid}")
            here = (process / "cwd").readlink() == file.parent.resolve()
            named = str(file.parent).encode() in (process / "cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            continue
        if here or named:
            yield pid


def end(pids: set[int]) -> None:
    """At once, as a server of PostgreSQL does it when it is told so; then without asking."""
    for pid in pids:
        send(pid, signal.SIGQUIT)
    deadline = time.monotonic() + GRACE_S
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for pid in pids:
        send(pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def main(folder: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    roots = [folder, *(each.resolve() for each in (folder / "elsewhere").glob("*"))]
    end({pid for root in roots for pid in servers(root)})
    for root in roots:
        if root.name.startswith("stockctl-"):  # pytest's own are pytest's
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
