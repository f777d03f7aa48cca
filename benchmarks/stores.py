"""Backups in S3: `create` against its floor, and what 10,000 of them cost to list and to plan.

The server is SeaweedFS on this machine, so it takes its share of the two cores: what is measured
is the program and that server. First argument: MB of the database (0: leave it out); second: how
many backups (0: leave it out).
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from tests.remotes import ACCESS_KEY, SECRET_KEY, S3Server, s3_options, serve_s3  # noqa: E402

from backup import dump, fill, project, stockctl  # noqa: E402
from stockctl.backup.checks import Checks, write_checks  # noqa: E402
from stockctl.backup.manifest import Backup, new_id  # noqa: E402
from stockctl.backup.stores.s3 import S3Store  # noqa: E402
from stockctl.core.units import format_size  # noqa: E402
from stockctl.system.embedded import serve  # noqa: E402
from timing import Took, in_turn, postmaster, report  # noqa: E402

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
    data = root / "state" / "postgres"
    with serve(data) as database:
        print(f"database of {format_size(fill(database, size_mb))}")
        server = postmaster(data)

        def create(name: str) -> Took:
            return stockctl(root, "backup", "create", name, server=server)

        contestants = {
            "pg_dump -Fc -Z0 > /dev/null": lambda: dump(database, server),
            "backup create to a folder": lambda: create("bench"),
            "backup create to S3": lambda: create("far"),
        }
        report(in_turn(ROUNDS, contestants))


def listing(root: Path, server: S3Server, count: int) -> None:
    """The first list makes the index."""
    store = S3Store(s3_options(server.endpoint, "backups", "many"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: _one(store, number), range(count)))
    print(f"\n{count} backups in S3: {len(store.names())} objects")
    first = stockctl(root, "backup", "list", "many")
    print(f"the first list, which reads each of them: {first.wall_s:.2f} s, CPU {first.own_s:.2f}")
    report(
        in_turn(
            ROUNDS,
            {
                "backup list many": lambda: stockctl(root, "backup", "list", "many"),
                "backup list many --json": lambda: stockctl(
                    root, "backup", "list", "many", "--json"
                ),
                "backup prune many --plan": lambda: stockctl(
                    root, "backup", "prune", "many", "--plan"
                ),
            },
        )
    )


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
