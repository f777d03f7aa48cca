"""`stockctl backup create` against the server's own floor, with the memory it takes at the most.

Baseline: `pg_dump -Fc -Z0 > /dev/null` of the same database in the same run. The database is an
embedded one of about SIZE_MB; give another size as the first argument.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stockctl.core.units import format_size
from stockctl.system.embedded import serve

SIZE_MB = 250
ROWS_PER_MB = 7_000
FILL = """
    CREATE TABLE items AS SELECT n AS id, 'a caption that repeats ' || (n % 1000) AS caption,
    md5(n::text) AS token, now() - n * interval '1 second' AS created_at
    FROM generate_series(1, {rows}) AS n
"""
TOML = '[database]\nembedded = true\n[host]\ndirectory = "../state"\n'


def peak_mb(argv: list[str]) -> float:
    """Runs it; the largest resident size of it or of a child of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1000


def main() -> None:
    """Prints seconds, the ratio and the peak."""
    size_mb = int(sys.argv[1]) if len(sys.argv) > 1 else SIZE_MB
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder:
        root = Path(folder)
        (root / "environments").mkdir()
        (root / "environments" / "bench.toml").write_text(TOML)
        (root / "state").mkdir()
        with serve(root / "state" / "postgres") as database:
            with database.connect() as connection:
                connection.execute(FILL.format(rows=size_mb * ROWS_PER_MB))
                connection.execute("VACUUM ANALYZE items")
                row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            print(f"database                     {format_size(row[0] if row else 0)}")
            dump = database.tools.command("pg_dump", "-Fc", "-Z0", dsn=database.dsn)
            with dump as command, Path(os.devnull).open("wb") as nowhere:
                started = time.perf_counter()
                environment = {**os.environ, **command.environment}
                subprocess.run(command.argv, env=environment, stdout=nowhere, check=True)
                floor = time.perf_counter() - started
            stockctl = str(Path(sys.executable).with_name("stockctl"))
            started = time.perf_counter()
            peak = peak_mb([stockctl, "--root", str(root), "backup", "create", "bench"])
            whole = time.perf_counter() - started
    print(f"pg_dump -Fc -Z0 > /dev/null  {floor:5.2f} s  1.00")
    print(
        f"stockctl backup create       {whole:5.2f} s  {whole / floor:.2f}  (with its verification)"
    )
    print(f"peak memory                  {peak:5.0f} MB")


if __name__ == "__main__":
    main()
