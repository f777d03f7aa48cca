"""Backups in S3: `create` against its floor, and what 10,000 of them cost to list and to plan.

The server is SeaweedFS on this machine, so it takes its share of the two cores: what is measured
is the program and that server. First argument: MB of the database (0: leave it out); second: how
many backups (0: leave it out).
"""

from __future__ import annotations

import resource
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from tests.remotes import ACCESS_KEY, SECRET_KEY, S3Server, s3_options, serve_s3  # noqa: E402

from backup import dump, fill, project, stockctl, timed  # noqa: E402
from stockctl.backup.checks import Checks, write_checks  # noqa: E402
from stockctl.backup.manifest import Backup, new_id  # noqa: E402
from stockctl.backup.stores.s3 import S3Store  # noqa: E402
from stockctl.core.units import format_size  # noqa: E402
from stockctl.system.embedded import serve  # noqa: E402

SIZE_MB, MANY = 1000, 10_000
ROUNDS = 3
TOML = """
store = "s3://backups/{prefix}"
endpoint = "{endpoint}"
"""


def main() -> None:
    """Prints seconds, ratios and the peak."""
    size_mb = int(sys.argv[1]) if len(sys.argv) > 1 else SIZE_MB
    many = int(sys.argv[2]) if len(sys.argv) > 2 else MANY
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder:
        root = Path(folder)
        (root / "state").mkdir()
        project(root)
        with serve_s3(root / "s3") as server:
            environments(root, server)
            if size_mb:
                creating(root, size_mb)
            if many:
                listing(root, server, many)


def environments(root: Path, server: S3Server) -> None:
    """`bench` in a folder; `far` the same in the bucket; `many` for the listing."""
    text = (root / "environments" / "bench.toml").read_text()
    keys = f"AWS_ACCESS_KEY_ID={ACCESS_KEY}\nAWS_SECRET_ACCESS_KEY={SECRET_KEY}\n"
    (root / "environments" / ".env.s3").write_text(keys)
    (root / "environments" / ".env.s3").chmod(0o600)
    for name in ("far", "many"):
        where = TOML.format(prefix=name, endpoint=server.endpoint)
        other = text.replace("../state", f"../state-{name}") + where
        file = root / "environments" / f"{name}.toml"
        file.write_text(f'env_file = ".env.s3"\n{other}')


def creating(root: Path, size_mb: int) -> None:
    """In turn: the floor, a folder, S3. All of one server: its data folder is the same."""
    (root / "state-far").mkdir()
    (root / "state-far" / "postgres").symlink_to(root / "state" / "postgres")
    floors, folders, fars = [], [], []
    in_folder = 0.0
    with serve(root / "state" / "postgres") as database:
        print(f"database                       {format_size(fill(database, size_mb))}")
        for _ in range(ROUNDS):
            floors.append(timed(lambda: dump(database)))
            folders.append(timed(lambda: stockctl(root, "backup", "create", "bench")))
            in_folder = in_folder or peak_mb()
            fars.append(timed(lambda: stockctl(root, "backup", "create", "far")))
    floor = min(floors)
    for name, took in (("a folder", min(folders)), ("S3", min(fars))):
        print(f"backup create to {name:13} {took:5.2f} s  {took / floor:.2f}")
    print(f"pg_dump -Fc -Z0 > /dev/null    {floor:5.2f} s  1.00")
    print(f"peak memory                    {peak_mb():5.0f} MB  (to a folder {in_folder:.0f} MB)")


def peak_mb() -> float:
    """Of the largest process so far that has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


def listing(root: Path, server: S3Server, count: int) -> None:
    """Each command twice: the first list makes the index."""
    store = S3Store(s3_options(server.endpoint, "backups", "many"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: _one(store, number), range(count)))
    print(f"\n{count} backups in S3: {len(store.names())} objects")
    for what in (("list", "many"), ("list", "many"), ("prune", "many", "--plan")):
        took = timed(lambda what=what: stockctl(root, "backup", *what))  # type: ignore[misc]
        print(f"backup {' '.join(what):24} {took:5.2f} s")
    took = timed(lambda: stockctl(root, "backup", "list", "many", "--json"))
    print(f"backup list many --json         {took:5.2f} s")


def _one(store: S3Store, number: int) -> None:
    moment = datetime(2026, 11, 22, tzinfo=UTC) - timedelta(hours=number)
    backup = Backup(**_fields(moment, number))
    store.put_key(store.key(backup.object), b"x")
    write_checks(store, backup, Checks().passed(moment, "bytes"))
    store.put_key(store.key(backup.manifest), backup.to_json())


def _fields(moment: datetime, number: int) -> dict[str, Any]:
    return {
        "id": new_id(moment, f"{number:04x}"[-4:]),
        "environment": "many",
        "created_at": moment,
        "size_bytes": 1,
        "database_bytes": 1,
        "duration_s": 1.0,
        "sha256": "0" * 64,
        "recipients": (),
        "compression": 3,
        "database": "stock",
        "server_version": "18.0",
        "schema_head": "0012_index_comments",
        "fingerprint": tuple((f"public.t{n}", number) for n in range(12)),
        "label": None,
        "pinned": False,
        "stockctl": "0.1.0",
    }


if __name__ == "__main__":
    main()
