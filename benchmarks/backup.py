"""`stockctl backup create` and `backup verify` against their floors, and the memory of a backup.

create: `pg_dump -Fc -Z0 > /dev/null`, what the server's COPY takes. verify: `zstd -t` on the same
bytes. Of a database as the service has it, of the hardest one (see databases.py), and create of a
small one, too, which is what a backup costs whatever the size. Each is run in turn, ROUNDS times;
the best of each counts. Encrypted for one key, into a folder. Arguments: rounds, and how much of
the full size (1).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from databases import ITEMS, WIDE_MB, stockmind, wide
from project import Bench, filled
from timing import in_turn, report, run

ROUNDS = 3
SMALL_MB = 4


def main() -> None:
    """Prints seconds, ratios and the peak."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    part = float(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder:
        root = Path(folder)
        with filled(root, "stockmind", partial(stockmind, items=int(ITEMS * part))) as bench:
            creating(bench, rounds)
            checking(bench, rounds)
        with filled(root, "hardest", partial(wide, size_mb=int(WIDE_MB * part))) as bench:
            creating(bench, rounds)
            checking(bench, rounds)
        with filled(root, "small", partial(wide, size_mb=SMALL_MB)) as bench:
            creating(bench, rounds)


def creating(bench: Bench, rounds: int) -> None:
    """`backup create` and its floor."""
    report(
        in_turn(
            rounds,
            {
                "pg_dump -Fc -Z0 > /dev/null": bench.dump,
                "stockctl backup create": lambda: bench.stockctl("backup", "create", bench.name),
            },
        )
    )


def checking(bench: Bench, rounds: int) -> None:
    """What it takes to decode all of it again, with age and rows."""
    plain = bench.root / "plain.zst"
    with plain.open("wb") as file:
        subprocess.run(["age", "-d", "-i", bench.key, bench.stored], check=True, stdout=file)
    zstd = shutil.which("zstd") or "zstd"
    report(
        in_turn(
            rounds,
            {
                "zstd -t": lambda: run([zstd, "-tq", str(plain)]),
                "stockctl backup verify": lambda: bench.stockctl("backup", "verify", bench.name),
            },
        )
    )


if __name__ == "__main__":
    main()
