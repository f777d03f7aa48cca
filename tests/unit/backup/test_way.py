"""By which way a dump comes into the copy, where pg_restore runs here and where it runs inside."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.backup.test_catalog import add

from stockctl.backup.manifest import Backup
from stockctl.backup.room import Share
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.backup.way import Way, choose_way
from stockctl.core.secret import Secret
from stockctl.system.disk import disk_of
from stockctl.system.local import LocalHost
from stockctl.system.postgres import ClientTools, Database, Dsn

DSN = Dsn("localhost", 5432, "app", Secret("x"), "app")
HERE, INSIDE = Database(DSN, ClientTools()), Database(DSN, ClientTools(prefix=("env",)))
NOWHERE = Share("the copy", 0, "/nowhere", None)
FREE = shutil.disk_usage("/var/tmp").free
JOBS = min(4, os.cpu_count() or 1)


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    """Of two tables that are equally large."""
    tables = (("public.a", 50), ("public.b", 50))
    return replace(add(DirectoryStore(tmp_path)), fingerprint=tables, dump_bytes=100 << 20)


@pytest.fixture(autouse=True)
def no_tmpdir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)


def test_inside_a_container_it_is_decoded_beside_pg_restore(backup: Backup, tmp_path: Path) -> None:
    assert choose_way(backup, INSIDE, LocalHost(), tmp_path, NOWHERE, jobs=3) == Way(3, "/var/tmp")
    assert choose_way(backup, HERE, LocalHost(), tmp_path, NOWHERE) == Way(JOBS, str(tmp_path))


@pytest.mark.parametrize("database", [HERE, INSIDE])
def test_where_it_need_not_be_decoded_first(
    backup: Backup, database: Database, tmp_path: Path
) -> None:
    one = replace(backup, fingerprint=(("public.a", 90), ("public.b", 10)))
    for each, jobs in ((backup, 1), (one, 2)):
        assert choose_way(each, database, LocalHost(), tmp_path, NOWHERE, jobs=jobs) == Way(jobs)
    assert choose_way(backup, database, LocalHost(), tmp_path, NOWHERE, streamed=True).why == ""


@pytest.mark.parametrize("database", [HERE, INSIDE])
def test_without_room_rows_are_streamed(backup: Backup, database: Database, tmp_path: Path) -> None:
    huge = replace(backup, dump_bytes=1 << 60)
    found = choose_way(huge, database, LocalHost(), tmp_path, NOWHERE, jobs=2)
    assert (found.jobs, found.folder) == (2, None)
    assert "too little for the decoded dump" in found.why


@pytest.mark.parametrize(("folder", "fits"), [("/var/tmp", False), ("/dev/shm", True)])
def test_on_the_disk_of_the_data_the_copy_has_to_fit_as_well(
    backup: Backup, folder: str, fits: bool
) -> None:
    half = replace(backup, dump_bytes=int(FREE * 0.6), database_bytes=int(FREE * 0.6))
    copy = Share("the copy", half.database_bytes, folder, disk_of(LocalHost(), Path(folder)))
    for database in (HERE, INSIDE):
        way = choose_way(half, database, LocalHost(), Path("/var/tmp/x"), copy, jobs=2)
        assert (way.folder is not None) is fits


def test_a_container_without_a_folder_on_a_disk(backup: Backup, tmp_path: Path) -> None:
    dumb = Database(DSN, ClientTools(prefix=("true",)))
    found = choose_way(backup, dumb, LocalHost(), tmp_path, NOWHERE, jobs=2)
    assert found == Way(2, why="the container has no folder for the decoded dump")
