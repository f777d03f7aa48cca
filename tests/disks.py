"""Small file systems: a disk that is full is full for real."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stockctl.system.postgres import Database
from tests.servers import ONE, a_server


@contextmanager
def small_disk(folder: Path, size: str, *, owner: os.stat_result | None = None) -> Iterator[Path]:
    """One of that size, as mount(8) says it, in a new folder. Where nothing can be mounted the
    test is left out; in CI that is a failure."""
    folder.mkdir()
    options = f"size={size},mode=700"
    if owner is not None:
        options += f",uid={owner.st_uid},gid={owner.st_gid}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        said = f"no small disk can be mounted here, which takes root: {done.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=60)


@contextmanager
def small_database(size: str) -> Iterator[tuple[Database, Path]]:
    """One in a tablespace of its own, and the small disk below it. The server is its own, too: one
    that cannot write a checkpoint makes no database for anybody."""
    with tempfile.TemporaryDirectory(prefix="stockctl-disk-") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / "server"
        home.mkdir()
        with small_disk(Path(folder) / "disk", size) as disk, a_server(ONE, home) as server:
            owner = Path(server.dsn.host).stat()
            os.chown(disk, owner.st_uid, owner.st_gid)
            with server.connect() as connection:
                connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'".encode())
                connection.execute("CREATE DATABASE stock TABLESPACE small")
            yield server.to("stock"), disk


def make_read_only(disk: Path) -> None:
    """From now on nothing can be written to it."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True, timeout=60)


def fill_up(disk: Path, *, but_bytes: int = 0) -> Path:
    """A file that takes the room there is left; to take it away makes room again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 512):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                pass
        file.truncate(max(file.tell() - but_bytes, 0))
    return filler
