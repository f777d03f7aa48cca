"""`stockctl backup restore` against `pg_restore`, and how long a service is away for it.

Baseline: `pg_restore -j2` of the same dump, decoded before, into an empty database of the same
server. The restore decodes, restores, counts, analyzes and swaps; in the end once more while
CLIENTS clients write all the time and come back by themselves. Of a database as the service has
it, and of the hardest one (see databases.py). Best of ROUNDS, in turn. Arguments: rounds, and how
much of the full size (1).
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import psycopg

from databases import ITEMS, WIDE_MB, stockmind, wide
from project import Bench, filled
from stockctl.system.postgres import Database
from timing import Took, in_turn, report

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


def floor(bench: Bench, dump: Path) -> Took:
    """pg_restore -j2, into a database that is dropped again."""
    with bench.database.connect() as connection:
        connection.execute("CREATE DATABASE floor TEMPLATE template0")
    took = bench.tool("pg_restore", "-j2", str(dump), database=bench.database.to("floor"))
    with bench.database.connect() as connection:
        connection.execute("DROP DATABASE floor WITH (FORCE)")
        connection.execute("CHECKPOINT")
    return took


def restored(bench: Bench) -> tuple[Took, float]:
    """The whole command, and seconds of the outage that it reports."""
    with tempfile.TemporaryFile() as said:
        verb = ("--json", "backup", "restore", bench.name, "--yes", "--skip-backup")
        took = bench.stockctl(*verb, stdout=said)
        said.seek(0)
        outage_s = json.load(said)["data"]["restored"]["outage_s"]
    drop_kept(bench.database)
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
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    part = float(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        with filled(root, "stockmind", partial(stockmind, items=int(ITEMS * part))) as bench:
            restoring(bench, rounds)
            under_clients(bench)
        with filled(root, "hardest", partial(wide, size_mb=int(WIDE_MB * part))) as bench:
            restoring(bench, rounds)


def restoring(bench: Bench, rounds: int) -> None:
    """In turn, of one and the same backup."""
    with bench.database.connect() as connection:
        connection.execute("CREATE TABLE journal (at timestamptz)")
    bench.stockctl("backup", "create", bench.name)
    dump = decoded(bench)
    contestants = {
        "pg_restore -j2": lambda: floor(bench, dump),
        "stockctl backup restore": lambda: restored(bench)[0],
    }
    report(in_turn(rounds, contestants))
    dump.unlink()


def under_clients(bench: Bench) -> None:
    """How long nobody could write."""
    with Clients(bench.database) as clients:
        loaded, outage_s = restored(bench)
        time.sleep(1)
    print(f"with {CLIENTS} clients {loaded.wall_s:.2f} s: outage_s {outage_s:.3f}")
    print(f"the longest time without a write {clients.silence_s():.3f} s")


def decoded(bench: Bench) -> Path:
    """The plain dump."""
    dump = bench.root / "dump"
    with dump.open("wb") as file:
        age = subprocess.Popen(["age", "-d", "-i", bench.key, bench.stored], stdout=subprocess.PIPE)
        subprocess.run(["zstd", "-d"], stdin=age.stdout, stdout=file, check=True)
        age.wait()
    return dump


if __name__ == "__main__":
    main()
