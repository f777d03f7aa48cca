"""`stockctl deploy rehearse` of a database of SIZE_MB: its seconds, and how near its forecast is.

The forecast of the deploy's duration against the real deploy right after it, in the same run, both
without building the image. The example service is deployed, its items are filled, and a migration
that builds an index on them is pending. Another size as the first argument.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.conftest import Done, StagingProject, make, take_away

SIZE_MB = 1000
ROWS_PER_MB = 2_500
PIECES = 20
OWNERS = (
    "INSERT INTO users (email, password_hash) VALUES ('bench@example.com', 'x')",
    "INSERT INTO instagram_sources (user_id, handle) SELECT max(id), 'bench' FROM users",
)
FILL = """
INSERT INTO instagram_items (source_id, user_id, caption)
SELECT (SELECT max(id) FROM instagram_sources), (SELECT max(id) FROM users),
       repeat('a caption that repeats ', 9) || md5(n::text) || md5('a' || n)
  FROM generate_series(1, {rows}) AS n
"""
PARTS = {  # of the forecast, and the steps of a deploy with `recreate`
    "backup": ("backup",),
    "migrations": ("migrate",),
    "stop, start": ("replace", "healthy"),
    "smoke": ("smoke",),
    "(nothing)": ("gates", "services", "files"),
}
INDEX = "CREATE INDEX idx_bench ON instagram_items (caption);"


def ended_well(done: Done) -> Done:
    assert done.code == 0, done.err
    return done


def seconds(project: StagingProject, *arguments: str) -> tuple[float, Done]:
    """The whole process, however long it takes."""
    began = time.monotonic()
    done = subprocess.run(project.argv(*arguments), capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    return took, ended_well(Done(done.returncode, done.stdout, done.stderr))


def fill(project: StagingProject, size_mb: int) -> None:
    """In pieces: each has the deadline of a test's command."""
    for statement in OWNERS:
        project.psql(statement)
    for _ in range(PIECES):
        project.psql(FILL.format(rows=size_mb * ROWS_PER_MB // PIECES))
    project.psql("CHECKPOINT")


def measure(project: StagingProject, size_mb: int) -> None:
    ended_well(project.deploy("v1"))
    fill(project, size_mb)
    size = int(project.psql("SELECT pg_database_size(current_database())")) / 1e6
    seconds(project, "backup", "create", "staging")
    folder = project.root / "migrations"
    (folder / "0013_bench.sql").write_text(f"-- phase: expand\n{INDEX}\n")
    (folder / "0013_bench.rollback.sql").write_text("DROP INDEX idx_bench;\n")
    rehearsing, done = seconds(project, "deploy", "rehearse", "staging", "--tag", "v2", "--json")
    found = done.data["data"]
    print(f"a database of {size:.0f} MB")
    print(f"rehearsal      {rehearsing:6.1f} s, of which restore {found['restore_s']:.1f}")
    for name, spent in found["spent_s"].items():
        print(f"  {name:<16}{spent:6.1f}")
    _, done = seconds(project, "deploy", "staging", "--tag", "v2", "--json")
    steps: dict[str, float] = {}
    for each in done.data["data"]["release"]["steps"]:
        name = each["name"].partition(":")[0]
        steps[name] = steps.get(name, 0.0) + each["duration_s"]
    took = done.data["duration_s"] - steps.get("image", 0.0)
    forecast = found["forecast_s"]
    print(f"{'':<16}forecast  deploy")
    for name, done_by in PARTS.items():
        foreseen = sum(found["forecast"].get(part, 0.0) for part in name.split(", "))
        print(f"  {name:<14}{foreseen:8.1f}{sum(steps.get(step, 0.0) for step in done_by):8.1f}")
    print(f"forecast       {forecast:6.1f} s")
    print(f"the deploy     {took:6.1f} s without its image")
    print(f"forecast/deploy {forecast / took:5.2f}")


def main(arguments: list[str]) -> None:
    """Prints seconds and the ratio."""
    size_mb = int(arguments[0]) if arguments else SIZE_MB
    with tempfile.TemporaryDirectory() as folder:
        project = make(Path(folder), "recreate")
        try:
            measure(project, size_mb)
        finally:
            take_away(project)


if __name__ == "__main__":
    main(sys.argv[1:])
