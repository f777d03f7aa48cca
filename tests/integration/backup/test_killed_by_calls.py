"""kill -9 at the N-th write, rename, fsync, unlink or SQL statement of a verb of `backup`.

A sample in every run; `make campaign` goes through all of them. Without `-f` strace counts only
what our own process does, not its children; what it says to PostgreSQL is `sendto`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.integration.backup.conftest import HOLDER, Bench
from tests.integration.backup.kills import argv_of
from tests.remotes import missing
from tests.servers import on_one_postgres

from stockctl.backup.prune import prune
from stockctl.backup.retention import Policy, PrunePlan, plan_prune

CALLS = "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,sendto"
ROWS = 200
# Of the way: what is fragile is at the end.
SAMPLE = (0.6, 0.8, 0.9, 0.96)
VERBS = ("restore", "undo", "prune")
Rows = list[tuple[Any, ...]]
SAVED: Rows = [("saved", ROWS)]
LIVE: Rows = [("live", ROWS + 1)]


def traced(bench: Bench, verb: str, *options: str) -> int:
    """Runs it under strace; the exit code, negative for a signal."""
    argv = ["strace", "-qq", "-e", f"trace={CALLS}", *options, sys.executable]
    try:
        done = subprocess.run([*argv, *argv_of(bench, verb, "nowhere")], capture_output=True)
    except FileNotFoundError:
        missing("strace", "backup.sh")
        raise
    return done.returncode if done.returncode < 128 else 128 - done.returncode


def calls(bench: Bench, verb: str, folder: Path) -> list[tuple[str, int]]:
    """Those of one that lives, in their order: which, and the how-manieth of its kind."""
    trace = folder / "trace"
    assert traced(bench, verb, "-o", str(trace)) == 1  # it says that it survived
    seen: Counter[str] = Counter()
    found = []
    for name in re.findall(r"^(\w+)\(", trace.read_text(), re.MULTILINE):
        seen[name] += 1
        found.append((name, seen[name]))
    return found


def killed(bench: Bench, verb: str, call: str, number: int) -> bool:
    """Whether it was; a run may have one call less than the one that was looked at."""
    kill = f"inject={call}:signal=KILL:when={number}"
    code = traced(bench, verb, "-o", os.devnull, "-e", kill)
    assert code in (-signal.SIGKILL, 1)
    return code == -signal.SIGKILL


def rows(bench: Bench) -> Rows:
    """What is in there, by when it was written."""
    return bench.run("SELECT body, count(*)::int FROM item GROUP BY 1 ORDER BY 1")


def restorers(bench: Bench) -> Rows:
    mark = f"%{bench.database.dsn.database}"
    query = "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') LIKE %s"
    return bench.run(query, mark)


def set_up(bench: Bench, verb: str) -> None:
    """Saved rows in a backup, later ones in the live database; for `undo` restored already."""
    bench.run("DROP TABLE IF EXISTS item")
    bench.run(f"CREATE TABLE item AS SELECT 'saved' AS body FROM generate_series(1, {ROWS})")
    bench.create()
    bench.run("UPDATE item SET body = 'live'; INSERT INTO item VALUES ('live')")
    if verb == "undo":
        bench.restore()


def tear_down(bench: Bench) -> None:
    """The databases that restores kept, and the backups."""
    live = bench.database.dsn.database
    for name in bench.databases():
        if name != live:
            bench.run(f'DROP DATABASE "{name}" WITH (FORCE)')
    for path in bench.store.path.iterdir():
        path.unlink()


def look(bench: Bench, first: Rows, then: Rows, *, other: bool) -> None:
    """The next command recovers without being told, whichever it is; then all of it is there."""
    live = bench.database.dsn.database
    if bench.databases()[live]:
        assert rows(bench) in (first, then)
    good = bench.catalogue()
    assert (len(good.backups), good.invalid) == (1, ())
    if other:
        bench.create()
        assert rows(bench) in (first, then)
        assert set(bench.databases().values()) == {True}
        assert not [name for name in bench.databases() if "_restore_" in name]
        assert restorers(bench) == []
    bench.restore(good.backups[0].id)
    assert rows(bench) == SAVED
    assert set(bench.databases().values()) == {True}
    assert not [name for name in bench.databases() if "_restore_" in name]
    assert restorers(bench) == []


def set_up_prune(bench: Bench) -> None:
    bench.run("DROP TABLE IF EXISTS item")
    bench.run(f"CREATE TABLE item AS SELECT 'saved' AS body FROM generate_series(1, {ROWS})")
    for _ in range(4):
        bench.create()


def swap_round(bench: Bench, verb: str, call: str, number: int) -> bool:
    set_up(bench, verb)
    first, then = (LIVE, SAVED) if verb == "restore" else (SAVED, LIVE)
    died = killed(bench, verb, call, number)
    look(bench, first, then, other=bool(number % 2))
    tear_down(bench)
    return died


def prune_round(bench: Bench, call: str, number: int) -> bool:
    """Whatever is listed is whole, and one is left that restores; the next prune ends it."""
    set_up_prune(bench)
    made = set(bench.catalogue().backups)
    kept = {each.backup for each in plan(bench).keep}
    assert len(kept) == 2
    died = killed(bench, "prune", call, number)
    left = bench.catalogue()
    assert left.invalid == ()
    assert kept <= set(left.backups) <= made
    assert all((bench.store.path / each.object).exists() for each in left.backups)
    ports = {key: bench.ports()[key] for key in ("host", "directory", "progress")}
    prune(plan(bench), bench.store, environment="prod", lock_holder=HOLDER, **ports)
    assert set(bench.catalogue().backups) == kept
    bench.restore()
    assert rows(bench) == SAVED
    tear_down(bench)
    return died


def create_round(bench: Bench, call: str, number: int) -> bool:
    """The earlier one is listed and restores, half a one is not; nothing half-done is left."""
    set_up(bench, "create")
    (good,) = bench.catalogue().backups
    died = killed(bench, "create", call, number)
    left = bench.catalogue()
    assert (good in left.backups, left.invalid) == (True, ())
    assert rows(bench) == LIVE
    bench.create()
    assert bench.files() == bench.files_of(*bench.catalogue().backups)
    bench.restore(good.id)
    assert rows(bench) == SAVED
    tear_down(bench)
    return died


def plan(bench: Bench) -> PrunePlan:
    found = bench.catalogue()
    return plan_prune(found.backups, Policy(last=2), datetime.now(UTC), found.checks)


def rounds(bench: Bench, verb: str, folder: Path, *, every: bool) -> None:
    """How many were killed is looked at: a loop that kills nobody proves nothing."""
    if verb == "prune":
        set_up_prune(bench)
    else:
        set_up(bench, verb)
    found = calls(bench, verb, folder)
    tear_down(bench)
    chosen = found if every else [found[int(len(found) * part)] for part in SAMPLE]
    one = {"prune": prune_round, "create": create_round}.get(verb)
    died = [one(bench, *each) if one else swap_round(bench, verb, *each) for each in chosen]
    assert sum(died) >= len(chosen) * 0.75


@on_one_postgres
@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_some_calls(bench: Bench, tmp_path: Path, verb: str) -> None:
    rounds(bench, verb, tmp_path, every=False)


@on_one_postgres
@pytest.mark.campaign
@pytest.mark.parametrize("verb", ("create", *VERBS))
def test_killed_at_every_call(bench: Bench, tmp_path: Path, verb: str) -> None:
    rounds(bench, verb, tmp_path, every=True)
