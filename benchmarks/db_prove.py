"""`stockctl db prove` on 100 migrations against applying them once with `stockctl db migrate`.

    .venv/bin/python benchmarks/db_prove.py [MIGRATIONS [RUNS]]

A table, an index and every tenth time a new column of an earlier table; loopback, one run of each
after another on the embedded server, which waits for the disk. Ratios are of the same run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

STOCKCTL = Path(sys.executable).with_name("stockctl")
RUNS = 3
TABLE = """CREATE TABLE t{n} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL, price numeric(10, 2) DEFAULT 0 CHECK (price >= 0){parent});
CREATE INDEX t{n}_name ON t{n} (name);
"""
COLUMN = "ALTER TABLE t{old} ADD COLUMN c{n} text;\n"


def write(folder: Path, count: int) -> None:
    """The migrations, each with its way back."""
    for n in range(1, count + 1):
        parent = f", parent bigint NOT NULL REFERENCES t{n - 1}" if n % 10 else ""
        if n % 10 == 0:
            up, down = COLUMN.format(old=n - 5, n=n), f"ALTER TABLE t{n - 5} DROP COLUMN c{n};\n"
        else:
            linked = parent if n > 1 and (n - 1) % 10 else ""
            up, down = TABLE.format(n=n, parent=linked), f"DROP TABLE t{n};\n"
        (folder / f"{n:04}_m.sql").write_text(up)
        (folder / f"{n:04}_m.rollback.sql").write_text(down)


def timed(root: Path, *arguments: str) -> float:
    """Seconds of one command line, start-up included."""
    started = time.monotonic()
    argv = [STOCKCTL, "--root", root, "-q", "db", *arguments]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else RUNS
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder:
        root = Path(folder)
        (root / "environments").mkdir()
        (root / "migrations").mkdir()
        toml = '[database]\nembedded = true\nmigrations = "../migrations"\n'
        for run in range(runs):
            (root / "environments" / f"e{run}.toml").write_text(toml)
        write(root / "migrations", count)
        print(
            f"{'':>6} {'migrate':>9} {'prove':>9} {'ratio':>7} {'no rows':>9} {'a migration':>12}"
        )
        for run in range(runs):
            timed(root, "status", f"e{run}")  # the server's files are there, as they normally are
            once = timed(root, "migrate", f"e{run}")
            proof = timed(root, "prove", f"e{run}")
            schema = timed(root, "prove", f"e{run}", "--no-rows")
            each = proof / count * 1000
            print(
                f"{run + 1:>6} {once:>8.2f}s {proof:>8.2f}s {proof / once:>6.1f}x"
                f" {schema:>8.2f}s {each:>9.0f} ms"
            )


if __name__ == "__main__":
    main()
