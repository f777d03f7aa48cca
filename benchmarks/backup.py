"""`stockctl backup create` and `backup verify` against their floors, and the memory of a backup.

create: `pg_dump -Fc -Z0 > /dev/null`, what the server's COPY takes. verify: `zstd -t` on the same
bytes. Each is run in turn, ROUNDS times; the best of each counts. The database is an embedded one
of SIZE_MB, encrypted for one key; give another size as the first argument.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyrage

from stockctl.core.units import format_size
from stockctl.system.embedded import serve
from stockctl.system.postgres import Database

SIZE_MB = 1000
ROUNDS = 3
# 500 bytes a row, of which half compresses
FILL = """
    CREATE TABLE {name} AS SELECT n AS id, repeat('a caption that repeats ', 9) || (n % 1000) AS a,
    md5(n::text) || md5('a' || n) || md5('b' || n) || md5('c' || n) AS token,
    repeat(md5((n % 100)::text), 3) AS b, now() - n * interval '1 second' AS created_at
    FROM generate_series(1, {rows}) AS n
"""
TOML = """
[database]
embedded = true
[host]
directory = "../state"
[backup]
recipients = ["{recipient}"]
identity_file = "key.txt"
"""


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def project(root: Path) -> None:
    """Its configuration and its key."""
    key = pyrage.x25519.Identity.generate()
    folder = root / "environments"
    folder.mkdir()
    (folder / "key.txt").write_text(f"{key}\n")
    (folder / "key.txt").chmod(0o600)
    (folder / "bench.toml").write_text(TOML.format(recipient=key.to_public()))


def fill(database: Database, size_mb: int, tables: int = 2) -> int:
    """Tables of the same size; how large the database is then."""
    with database.connect() as connection:
        for number in range(tables):
            rows = size_mb * 1_950 // tables
            connection.execute(FILL.format(name=f"items_{number}", rows=rows))
            connection.execute(f"ALTER TABLE items_{number} ADD PRIMARY KEY (id)")
            connection.execute(f"CREATE INDEX ON items_{number} (token)")
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def dump(database: Database) -> None:
    """The floor."""
    tool = database.tools.command("pg_dump", "-Fc", "-Z0", dsn=database.dsn)
    with tool as command, Path(os.devnull).open("wb") as nowhere:
        environment = {**os.environ, **command.environment}
        subprocess.run(
            command.argv, env=environment, stdout=nowhere, check=True, pass_fds=command.inherits
        )


def stockctl(root: Path, *arguments: str) -> None:
    """The program as it is installed."""
    argv = [str(Path(sys.executable).with_name("stockctl")), "--root", str(root), *arguments]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    """Prints seconds, ratios and the peak."""
    size_mb = int(sys.argv[1]) if len(sys.argv) > 1 else SIZE_MB
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder:
        root = Path(folder)
        (root / "state").mkdir()
        project(root)
        with serve(root / "state" / "postgres") as database:
            print(f"database                     {format_size(fill(database, size_mb))}")
            floors, wholes = [], []
            for _ in range(ROUNDS):
                floors.append(timed(lambda: dump(database)))
                wholes.append(timed(lambda: stockctl(root, "backup", "create", "bench")))
            peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
        floor, whole = min(floors), min(wholes)
        print(f"pg_dump -Fc -Z0 > /dev/null  {floor:5.2f} s  1.00")
        print(f"stockctl backup create       {whole:5.2f} s  {whole / floor:.2f}")
        print(f"peak memory                  {peak_mb:5.0f} MB  (the largest process)")
        checks(root)


def checks(root: Path) -> None:
    """What it takes to decode all of it again."""
    stored = sorted((root / "state" / "backups").glob("*.zst.age"))[-1]
    plain = root / "plain.zst"
    key = str(root / "environments" / "key.txt")
    with plain.open("wb") as file:
        subprocess.run(["age", "-d", "-i", key, str(stored)], check=True, stdout=file)
    zstd = shutil.which("zstd") or "zstd"
    floor = min(timed(lambda: subprocess.run([zstd, "-tq", plain], check=True)) for _ in range(2))
    whole = min(timed(lambda: stockctl(root, "backup", "verify", "bench")) for _ in range(2))
    print(f"zstd -t                      {floor:5.2f} s  1.00")
    print(f"stockctl backup verify       {whole:5.2f} s  {whole / floor:.2f}  (with age and rows)")


if __name__ == "__main__":
    main()
