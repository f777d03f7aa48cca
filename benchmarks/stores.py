"""Backups in S3: `create` against its floor, and what 10,000 of them cost to list and to plan.

The server is SeaweedFS on this machine, so it takes its share of the two cores: what is measured
is the program and that server. Arguments: rounds; how many backups (0: leave it out); how much of
the full size of the databases (1).
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from tests.remotes import ACCESS_KEY, SECRET_KEY, S3Server, s3_options, serve_s3  # noqa: E402

from databases import ITEMS, WIDE_MB, stockmind, wide  # noqa: E402
from project import Bench, environment, filled  # noqa: E402
from stockctl.backup.checks import Checks, write_checks  # noqa: E402
from stockctl.backup.manifest import Backup, new_id  # noqa: E402
from stockctl.backup.stores.s3 import S3Store  # noqa: E402
from timing import in_turn, report  # noqa: E402

MANY = 10_000
ROUNDS = 3
TOML = """
store = "s3://backups/{prefix}"
endpoint = "{endpoint}"
"""
KEYS = f"AWS_ACCESS_KEY_ID={ACCESS_KEY}\nAWS_SECRET_ACCESS_KEY={SECRET_KEY}\n"


def main() -> None:
    """Prints seconds, ratios and the peak."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    many = int(sys.argv[2]) if len(sys.argv) > 2 else MANY
    part = float(sys.argv[3]) if len(sys.argv) > 3 else 1
    with tempfile.TemporaryDirectory(prefix="stockctl-bench-") as folder:
        root = Path(folder)
        with serve_s3(root / "s3") as server:
            with filled(root, "stockmind", partial(stockmind, items=int(ITEMS * part))) as bench:
                creating(bench, server, rounds)
            with filled(root, "hardest", partial(wide, size_mb=int(WIDE_MB * part))) as bench:
                creating(bench, server, rounds)
                if many:
                    listing(bench, server, many, rounds)


def far(bench: Bench, server: S3Server, name: str) -> str:
    """An environment of the same database, its backups in the bucket."""
    environment(bench, name, TOML.format(prefix=name, endpoint=server.endpoint), KEYS)
    return name


def creating(bench: Bench, server: S3Server, rounds: int) -> None:
    """In turn: the floor, a folder, S3."""
    there = far(bench, server, f"{bench.name}-far")
    contestants = {
        "pg_dump -Fc -Z0 > /dev/null": bench.dump,
        "backup create to a folder": lambda: bench.stockctl("backup", "create", bench.name),
        "backup create to S3": lambda: bench.stockctl("backup", "create", there),
    }
    report(in_turn(rounds, contestants))


def listing(bench: Bench, server: S3Server, count: int, rounds: int) -> None:
    """The first list makes the index."""
    name = far(bench, server, "many")
    for other in {*bench.key.parent.glob("*.toml")} - {bench.key.parent / f"{name}.toml"}:
        other.unlink()  # a prune is refused while another environment has the same database
    store = S3Store(s3_options(server.endpoint, "backups", name))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: _one(store, number), range(count)))
    print(f"\n{count} backups in S3: {len(store.names())} objects")
    first = bench.stockctl("backup", "list", name)
    print(f"the first list, which reads each of them: {first.wall_s:.2f} s, CPU {first.own_s:.2f}")
    verbs = (("list", name), ("list", name, "--json"), ("prune", name, "--plan"))
    report(
        in_turn(
            rounds,
            {
                " ".join(("backup", *verb)): partial(bench.stockctl, "backup", *verb)
                for verb in verbs
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
