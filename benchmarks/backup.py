"""`stockctl backup create` and `backup verify` against their floors, and the memory of a backup.

create: `pg_dump -Fc -Z0 > /dev/null`, what the server's COPY takes; also of a small database, which
is what a backup costs whatever the size. verify: `zstd -t` on the same bytes. Each is run in turn,
ROUNDS times; the best of each counts. The database is an embedded one of SIZE_MB, encrypted for one
key; give another size as the first argument, another number of rounds as the second.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyrage

from stockctl.core.units import format_size
from stockctl.system.embedded import serve
from stockctl.system.postgres import Database
from timing import Took, in_turn, postmaster, report, run

SIZE_MB, SMALL_MB = 1000, 4
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


def project(root: Path) -> None:
    """Its configuration and its key."""
    key = pyrage.x25519.Identity.generate()
    folder = root / "environments"
    folder.mkdir()
    (folder / "key.txt").write_text(f"{key}\n")
    (folder / "key.txt").chmod(0o600)
    text = TOML.format(recipient=key.to_public())
    (folder / "bench.toml").write_text(text)
    (folder / "small.toml").write_text(text.replace("../state", "../state-small"))


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


def dump(database: Database, server: int) -> Took:
    """The floor."""
    tool = database.tools.command("pg_dump", "-Fc", "-Z0", dsn=database.dsn)
    with tool as command, Path(os.devnull).open("wb") as nowhere:
        settings = {"env": {**os.environ, **command.environment}, "pass_fds": command.inherits}
        return run(list(command.argv), server=server, stdout=nowhere, **settings)


def stockctl(root: Path, *arguments: str, server: int | None = None) -> Took:
    """The program as it is installed."""
    argv = [str(Path(sys.executable).with_name("stockctl")), "--root", str(root), *arguments]
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return run(argv, server=server, **nowhere)


def main() -> None:
    """Prints seconds, ratios and the peak."""
    size_mb = int(sys.argv[1]) if len(sys.argv) > 1 else SIZE_MB
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder:
        root = Path(folder)
        project(root)
        creating(root, "bench", "state", size_mb, rounds)
        checking(root, rounds)
        creating(root, "small", "state-small", SMALL_MB, rounds)


def creating(root: Path, name: str, state: str, size_mb: int, rounds: int) -> None:
    """`backup create` and its floor."""
    (root / state).mkdir()
    data = root / state / "postgres"
    with serve(data) as database:
        print(f"\ndatabase of {format_size(fill(database, size_mb))}")
        server = postmaster(data)
        report(
            in_turn(
                rounds,
                {
                    "pg_dump -Fc -Z0 > /dev/null": lambda: dump(database, server),
                    "stockctl backup create": lambda: stockctl(
                        root, "backup", "create", name, server=server
                    ),
                },
            )
        )


def checking(root: Path, rounds: int) -> None:
    """What it takes to decode all of it again, with age and rows."""
    stored = sorted((root / "state" / "backups").glob("*.zst.age"))[-1]
    plain = root / "plain.zst"
    key = str(root / "environments" / "key.txt")
    with plain.open("wb") as file:
        subprocess.run(["age", "-d", "-i", key, str(stored)], check=True, stdout=file)
    zstd = shutil.which("zstd") or "zstd"
    report(
        in_turn(
            rounds,
            {
                "zstd -t": lambda: run([zstd, "-tq", str(plain)]),
                "stockctl backup verify": lambda: stockctl(root, "backup", "verify", "bench"),
            },
        )
    )


if __name__ == "__main__":
    main()
