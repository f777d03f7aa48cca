"""stockctl or its backend is killed at a query and run again: it ends as if nothing had been.

A sample of the points in every run; `make campaign` goes through all of them.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.integration.db.conftest import Bench
from tests.integration.db.wiretap import Cut, When, Who, Wiretap
from tests.servers import a_server, scratch

from stockctl.core.errors import StockctlError
from stockctl.system.postgres import Database

KILLED = -9
_RESTART_S = 60.0
IDS = ["0001_a", "0002_index", "0003_b", "0004_late"]
INDEXES = (
    "SELECT count(*) FILTER (WHERE indisvalid), count(*) FROM pg_index"
    " WHERE indrelid = 'a'::regclass"
)


class Zygote:
    """See zygote.py."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("zygote.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def fork(self, verb: str, host: Path | str, name: str, folder: Path) -> int:
        """The pid of one that runs."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([verb, str(host), name, str(folder)]) + "\n")
        self.process.stdin.flush()
        return self.line()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


@pytest.fixture(scope="module")
def mortal() -> Iterator[Database]:
    """A server of this module's own: when a backend is killed, all of them go."""
    with scratch("mortal") as folder, a_server(18, folder) as server:
        yield server


@dataclass
class Scene:
    """A database, its migrations, and a stockctl that dies."""

    bench: Bench
    zygote: Zygote
    folder: Path

    def die(self, verb: str, cut: Cut) -> int | None:
        """How it ended; None where it was done before it came to that query."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        dsn = self.bench.database.dsn
        with closing(psycopg.connect(host=dsn.host, user=dsn.user, dbname="postgres")) as canary:
            tap = Wiretap(self.folder, dsn.host, cut)
            tap.start()
            try:
                pid = self.zygote.fork(verb, self.folder, dsn.database, self.bench.folder)
                tap.victim.set_result(pid)
                code = self.zygote.line()
            finally:
                tap.close()
            if tap.cut and cut.who is Who.BACKEND:
                self._restarted(canary)
        return code if tap.cut else None

    def _restarted(self, canary: psycopg.Connection[Any]) -> None:
        """The server ends all sessions once it has seen that a backend is gone, and takes new
        ones when it has recovered: before that it still takes some, to end them at once."""
        assert select.select([canary], [], [], _RESTART_S)[0], "the server did not see the kill"
        deadline = time.monotonic() + _RESTART_S
        while True:
            try:
                self.bench.query("SELECT 1")
                return
            except StockctlError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def again(self, verb: str) -> None:
        """Once; where stockctl was killed, its backend may still be at work."""
        dsn = self.bench.database.dsn
        self.zygote.fork(verb, dsn.host, dsn.database, self.bench.folder)
        assert self.zygote.line() == 0

    def applied_once(self) -> None:
        """Ledger and schema agree: every file had its effect, once."""
        query = self.bench.query
        assert query("SELECT migration_id FROM _yoyo_migration ORDER BY 1") == [(i,) for i in IDS]
        assert query("SELECT id, state FROM _stockctl_migrations ORDER BY 1") == [
            (identity, "applied") for identity in IDS
        ]
        done = query("SELECT migration_id FROM _yoyo_log WHERE operation = 'apply' ORDER BY 1")
        assert done == [(identity,) for identity in IDS]
        assert query("SELECT n FROM effects ORDER BY n") == [(1,), (3,), (4,)]
        assert query(INDEXES) == [(1, 1)]

    def reverted_once(self) -> None:
        query = self.bench.query
        assert query("SELECT migration_id FROM _yoyo_migration") == []
        assert query("SELECT id FROM _stockctl_migrations") == []
        done = query("SELECT migration_id FROM _yoyo_log WHERE operation = 'rollback' ORDER BY 1")
        assert done == [(identity,) for identity in IDS]
        assert query("SELECT n FROM effects ORDER BY n") == [(-4,), (-3,), (-1,), (1,), (3,), (4,)]
        assert query("SELECT to_regclass('a'), to_regclass('b')") == [(None, None)]


@contextmanager
def a_scene(server: Database, zygote: Zygote) -> Iterator[Scene]:
    """Two tables, an index outside a transaction; each transaction leaves a row as its trace."""
    name = f"t_{os.urandom(6).hex()}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    with tempfile.TemporaryDirectory(prefix="tap-") as folder:
        migrations = Path(folder) / "m"
        migrations.mkdir()
        bench = Bench(migrations, server.to(name))
        bench.query("CREATE TABLE effects (n int)")
        _write(bench)
        yield Scene(bench, zygote, Path(folder) / "s")
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _write(bench: Bench) -> None:
    def traced(number: int, sql: str) -> str:
        return f"{sql};\nINSERT INTO effects VALUES ({number});"

    bench.write("0001_a", traced(1, "CREATE TABLE a (id int)"), traced(-1, "DROP TABLE a"))
    head = "-- transactional: false\n"
    up = f"{head}CREATE INDEX CONCURRENTLY a_id ON a (id);"
    bench.write("0002_index", up, f"{head}DROP INDEX CONCURRENTLY IF EXISTS a_id;")
    bench.write("0003_b", traced(3, "CREATE TABLE b (id int)"), traced(-3, "DROP TABLE b"))
    bench.write("0004_late", traced(4, "SELECT"), traced(-4, "SELECT"))


def killed(scene: Scene, verb: str, cut: Cut) -> bool:
    """Kills it and runs it again; False where it was done before it came to that query."""
    if verb == "rollback":
        scene.again("migrate")
    code = scene.die(verb, cut)
    assert code == (KILLED if cut.who is Who.CLIENT else 7) or code in (0, None)
    scene.again(verb)
    if verb == "migrate":
        scene.applied_once()
    else:
        scene.reverted_once()
    return code is not None


def at(text: str, when: When, who: Who = Who.CLIENT, nth: int = 1) -> Cut:
    return Cut(0, when, who, text.encode(), nth)


# A text of a file is also in its record: the index is named when the attempt is noted, is then
# built, and named again; each down script is rehearsed before it is run.
SAMPLE = [
    ("migrate", at("CREATE TABLE IF NOT EXISTS _stockctl", When.BEFORE)),
    ("migrate", at("CREATE TABLE a", When.DURING)),
    ("migrate", at("CREATE TABLE a", When.AFTER)),
    ("migrate", at("CREATE INDEX CONCURRENTLY", When.AFTER)),
    ("migrate", at("CREATE INDEX CONCURRENTLY", When.DURING, nth=2)),
    ("migrate", at("CREATE INDEX CONCURRENTLY", When.BEFORE, nth=3)),
    ("migrate", at("CREATE TABLE b", When.DURING, Who.BACKEND)),
    ("migrate", at("CREATE INDEX CONCURRENTLY", When.DURING, Who.BACKEND, nth=2)),
    ("rollback", at("DROP TABLE b", When.DURING)),
    ("rollback", at("DROP TABLE b", When.AFTER, nth=2)),
    ("rollback", at("DROP INDEX CONCURRENTLY", When.DURING, nth=2)),
    ("rollback", at("SET CONSTRAINTS", When.AFTER)),
    ("rollback", at("DROP INDEX CONCURRENTLY", When.AFTER, Who.BACKEND, nth=2)),
]


@pytest.mark.parametrize(
    ("verb", "cut"), SAMPLE, ids=[f"{v}-{c.who}-{c.when}-{n}" for n, (v, c) in enumerate(SAMPLE)]
)
def test_killed_at_a_query_and_run_again(
    mortal: Database, zygote: Zygote, verb: str, cut: Cut
) -> None:
    with a_scene(mortal, zygote) as scene:
        assert killed(scene, verb, cut), "there is no such query any more: choose another one"


@pytest.mark.campaign
@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("who", Who)
@pytest.mark.parametrize("verb", ["migrate", "rollback"])
def test_killed_at_every_query(
    mortal: Database, zygote: Zygote, verb: str, who: Who, when: When
) -> None:
    for number in count(1):
        with a_scene(mortal, zygote) as scene:
            if not killed(scene, verb, Cut(number, when, who)):
                break
    assert number > 20
