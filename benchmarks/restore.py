"""`stockctl backup restore` against `pg_restore`, and how long a service is away for it.

Baseline: `pg_restore -j2` of the same dump, decoded before, into an empty database of the same
server. The restore decodes, restores, counts, analyzes and swaps; in the end once more while
CLIENTS clients write all the time and come back by themselves. Best of ROUNDS, in turn. SIZE_MB as
the first argument, rounds as the second.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg

from backup import fill, project, stockctl
from stockctl.core.units import format_size
from stockctl.system.embedded import serve
from stockctl.system.postgres import Database
from timing import Took, in_turn, postmaster, report, run

SIZE_MB = 1000
CLIENTS = 50
ROUNDS = 2


class Clients:
    """Each inserts one row at a time and, when it is thrown out, connects again at once."""

    def __init__(self, database: Database) -> None:
        self._parameters = database.dsn.parameters()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(CLIENTS)]
        self.written: list[float] = []

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(**self._parameters, autocommit=True) as connection:
                    while not self._stop.is_set():
                        connection.execute("INSERT INTO journal VALUES (now())")
                        self.written.append(time.monotonic())
                        self._stop.wait(0.2)  # the server must do something else as well
            except psycopg.Error:
                self._stop.wait(0.01)

    def silence_s(self) -> float:
        """The longest time in which nobody could write."""
        moments = sorted(self.written)
        return max(after - before for before, after in itertools.pairwise(moments))


def floor(database: Database, dump: Path, server: int) -> Took:
    """pg_restore -j2, into a database that is dropped again."""
    with database.connect() as connection:
        connection.execute("CREATE DATABASE floor TEMPLATE template0")
    target = database.to("floor")
    with target.tools.command("pg_restore", "-j2", str(dump), dsn=target.dsn) as command:
        settings = {"env": {**os.environ, **command.environment}, "pass_fds": command.inherits}
        took = run(list(command.argv), server=server, **settings)
    with database.connect() as connection:
        connection.execute("DROP DATABASE floor WITH (FORCE)")
        connection.execute("CHECKPOINT")
    return took


def restored(root: Path, database: Database, server: int) -> tuple[Took, float]:
    """The whole command, and seconds of the outage that it reports."""
    program = str(Path(sys.executable).with_name("stockctl"))
    argv = [program, "--root", str(root), "--json", "backup", "restore", "bench"]
    with tempfile.TemporaryFile() as said:
        took = run([*argv, "--yes", "--skip-backup"], server=server, stdout=said)
        said.seek(0)
        outage_s = json.load(said)["data"]["restored"]["outage_s"]
    drop_kept(database)
    return took, outage_s


def drop_kept(database: Database) -> None:
    """Room for the next one."""
    with database.connect() as connection:
        for (name,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE '%before%'"
        ).fetchall():
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.execute("CHECKPOINT")


def main() -> None:
    """Prints seconds and ratios."""
    size_mb = int(sys.argv[1]) if len(sys.argv) > 1 else SIZE_MB
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder:
        root = Path(folder)
        (root / "state").mkdir()
        project(root)
        root.chmod(0o755)
        with serve(root / "state" / "postgres") as database:
            server = postmaster(root / "state" / "postgres")
            with database.connect() as connection:
                connection.execute("CREATE TABLE journal (at timestamptz)")
            print(f"database of {format_size(fill(database, size_mb))}")
            stockctl(root, "backup", "create", "bench")
            dump = decoded(root)
            contestants = {
                "pg_restore -j2": lambda: floor(database, dump, server),
                "stockctl backup restore": lambda: restored(root, database, server)[0],
            }
            report(in_turn(rounds, contestants))
            with Clients(database) as clients:
                loaded, outage_s = restored(root, database, server)
                time.sleep(1)
    print(f"with {CLIENTS} clients {loaded.wall_s:.2f} s: outage_s {outage_s:.3f}")
    print(f"the longest time without a write {clients.silence_s():.3f} s")


def decoded(root: Path) -> Path:
    """The plain dump."""
    (stored,) = (root / "state" / "backups").glob("*.zst.age")
    dump, key = root / "dump", root / "environments" / "key.txt"
    with dump.open("wb") as file:
        age = subprocess.Popen(["age", "-d", "-i", key, stored], stdout=subprocess.PIPE)
        subprocess.run(["zstd", "-d"], stdin=age.stdout, stdout=file, check=True)
        age.wait()
    return dump


if __name__ == "__main__":
    main()
