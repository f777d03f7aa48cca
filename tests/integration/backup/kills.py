"""Runs a victim that is killed at an event, on a bench's database and store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

VICTIM = Path(__file__).with_name("victim.py")


def argv_of(bench: Any, verb: str, point: str) -> list[str]:
    """What Python is given to run it."""
    dsn, tools = bench.database.dsn, bench.database.tools
    where = (dsn.host, dsn.user, dsn.database, tools.folder, bench.store.path, bench.directory)
    return [str(VICTIM), *map(str, where), verb, point]


def killed(bench: Any, verb: str, point: str) -> None:
    done = subprocess.run(
        [sys.executable, *argv_of(bench, verb, point)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def children(name: str) -> list[int]:
    """Ours that run this program."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = status.read_text().partition(" (")
        except OSError:
            continue
        command, _, fields = rest.rpartition(") ")
        if command == name and int(fields.split()[1]) == os.getpid():
            found.append(int(pid))
    return found
