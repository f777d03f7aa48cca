"""A server whose disk for pg_wal is full: it crashes in the middle of a file."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.disks import small_disk
from tests.integration.db.conftest import Bench
from tests.servers import ONE, a_server, running, stop_all

from stockctl.core.errors import DatabaseUnreachable, MigrationFailed

SEGMENT = 16 << 20
# and no server that tries to come back by itself, which it may or may not have room for
OPTIONS = "-c wal_recycle=off -c min_wal_size=32MB -c max_wal_size=32MB -c restart_after_crash=off"
MUCH = "SELECT md5(n::text) || repeat(md5(n::text), 20) FROM generate_series(1, 100000) n"


@dataclass
class Wal:
    """The disk of pg_wal, and the server above it."""

    bench: Bench
    parent: Path
    disk: Path

    def fill(self) -> None:
        """Less than one more segment has room."""
        free = shutil.disk_usage(self.disk).free
        with (self.disk / "filler").open("wb") as filler:
            filler.write(bytes(max(0, free - SEGMENT // 2)))

    def wait_for_its_end(self) -> None:
        """The postmaster goes when the last of its children has."""
        deadline = time.monotonic() + 30
        while (Path(self.bench.database.dsn.host) / "postmaster.pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def mend(self) -> None:
        """Space given back, the server started again."""
        (self.disk / "filler").unlink()
        running(ONE, self.parent, options=OPTIONS)


@pytest.fixture
def wal(tmp_path: Path) -> Iterator[Wal]:
    with tempfile.TemporaryDirectory(prefix="stockctl-wal-") as folder:
        parent = Path(folder)
        parent.chmod(0o711)
        with a_server(ONE, parent, options=OPTIONS) as database:
            data = Path(database.dsn.host)
            with small_disk(parent / "wal", "96m", owner=data.stat()) as disk:
                stop_all(parent)
                subprocess.run(["cp", "-a", f"{data}/pg_wal/.", disk], check=True)
                shutil.rmtree(data / "pg_wal")
                (data / "pg_wal").symlink_to(disk)
                running(ONE, parent, options=OPTIONS)
                try:
                    yield Wal(Bench(tmp_path, database), parent, disk)
                finally:
                    stop_all(parent)


def test_what_the_crash_cut_off_is_not_there(wal: Wal) -> None:
    bench = wal.bench
    bench.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE a;")
    much = f"CREATE TABLE much (t text);\nINSERT INTO much {MUCH};"
    bench.write("0002_much", much, "DROP TABLE much;")
    bench.write("0003_c", "CREATE TABLE c (id int);", "DROP TABLE c;")
    bench.query("CHECKPOINT")
    wal.fill()
    with pytest.raises(MigrationFailed) as caught:
        bench.migrate()
    assert "No space left on device" in str(caught.value)
    assert caught.value.hint.startswith("1 before it is applied. The connection was lost.")
    wal.wait_for_its_end()
    with pytest.raises(DatabaseUnreachable):
        bench.migrate()
    wal.mend()
    assert bench.states() == {"0001_a": "applied", "0002_much": "pending", "0003_c": "pending"}
    assert bench.query("SELECT to_regclass('a'), to_regclass('much'), to_regclass('c')") == [
        ("a", None, None)
    ]
    assert bench.migrate() == ["0002_much", "0003_c"]
    assert bench.query("SELECT count(*) FROM much") == [(100000,)]
