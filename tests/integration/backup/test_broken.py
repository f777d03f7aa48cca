"""Broken on purpose, from outside: DDL during a dump, a server that stops, calls that kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg.errors import LockNotAvailable
from tests.integration.backup.kills import argv_of

from stockctl.backup.fingerprint import fingerprint
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.core.errors import StockctlError
from stockctl.core.progress import Event
from stockctl.system.embedded import serve

ROWS = 5000
MANY = 40_000  # more than the pipes between server and file can hold


def first(kind: str, name: str, act: Callable[[], None]) -> Callable[[Event], None]:
    """A Reporter that acts at the first such event."""
    left = [act]

    def report(event: Event) -> None:
        if left and type(event).__name__ == kind and getattr(event, "name", "") == name:
            left.pop()()

    return report


@pytest.mark.parametrize(
    ("point", "statement"),
    [
        ("snapshot", "CREATE TABLE new (id int); INSERT INTO new VALUES (1)"),
        ("snapshot", "ALTER TABLE item ADD COLUMN more int DEFAULT 7"),
        ("snapshot", "ALTER TABLE other RENAME TO another"),
        ("snapshot", "DROP TABLE other"),
        ("snapshot", "TRUNCATE item"),
        ("dump", "DROP TABLE other"),
    ],
)
def test_ddl_after_the_snapshot(bench: Any, point: str, statement: str) -> None:
    """Either it is a whole backup, or it is none, and said so. Once the rows are counted, the
    tables are locked against it until the dump is over."""
    bench.fill(100)
    bench.run("CREATE TABLE other (id int); INSERT INTO other VALUES (1), (2)")
    refused: list[bool] = []

    def meddle() -> None:
        try:
            bench.run(f"SET lock_timeout = '200ms'; {statement}")
        except LockNotAvailable:
            refused.append(True)

    try:
        backup = bench.on(first("StepStarted", point, meddle)).create()
    except StockctlError:
        assert bench.files() == []
        backup = bench.create()
    assert bool(refused) == (point == "dump")
    bench.restore()
    with bench.database.connect() as connection:
        assert fingerprint(connection) == backup.fingerprint


def stop(folder: Path) -> None:
    """At once, as a crash does."""
    pid = int((folder / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGQUIT)
    while (folder / "postmaster.pid").exists() and Path(f"/proc/{pid}").exists():
        time.sleep(0.01)


@pytest.mark.parametrize("verb", ["create", "restore"])
def test_the_server_stops_half_way(bench: Any, mortal: Path, verb: str) -> None:
    with serve(mortal) as database:
        mine = replace(bench, database=database, store=DirectoryStore(bench.store.path / "own"))
        mine.fill(MANY)
        earlier = mine.create()
        step = "dump" if verb == "create" else "restore"
        broken = mine.on(first("Transferred", step, lambda: stop(mortal)))
        with pytest.raises(StockctlError):
            getattr(broken, verb)()
        assert mine.files() == mine.files_of(earlier)
    with serve(mortal) as database:
        mine = replace(mine, database=database)
        assert mine.items() == MANY
        mine.create()
        assert mine.databases() == {database.dsn.database: True}
        mine.restore(earlier.id)
        assert mine.items() == MANY


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_killed_by_a_system_call_of_create(bench: Any, number: int) -> None:
    """At the N-th fsync or rename, wherever that is."""
    if shutil.which("strace") is None:
        assert not os.environ.get("CI"), "tests/testbed/backup.sh installs strace"
        pytest.skip("there is no strace here")
    bench.fill(ROWS)
    earlier = bench.create()
    kill = f"inject=fsync,rename:signal=KILL:when={number}"
    trace = ("strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fsync,rename", "-e", kill)
    done = subprocess.run(
        [*trace, sys.executable, *argv_of(bench, "create", "nowhere")], capture_output=True
    )
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), done.stderr.decode()
    listed = bench.catalogue()
    assert earlier in listed.backups
    assert listed.invalid == ()
    later = bench.create()
    assert bench.files() == bench.files_of(*bench.catalogue().backups)
    bench.restore(later.id)
    assert bench.items() == ROWS
