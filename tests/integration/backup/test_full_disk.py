"""Disks that are full for real: below the store, and below the server that is restored to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.disks import fill_up, small_database, small_disk
from tests.integration.backup.conftest import HOLDER, Bench
from tests.servers import ONE, a_server, running, stop_all

from stockctl.backup.prune import prune
from stockctl.backup.retention import Policy, plan_prune
from stockctl.backup.room import told
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.backup.table import TableBack, restore_table
from stockctl.core.errors import DatabaseFailed, Refused, StockctlError, StoreFailed, ToolFailed
from stockctl.core.progress import Event, Reporter
from stockctl.core.units import format_size

WIDE = {"rows": 5000, "width": 8000}  # about 20 MB that do not compress away
NO_ROOM = "No space left on device"
_OPTIONS = "-c restart_after_crash=off -c max_wal_size=32MB -c min_wal_size=32MB"


@pytest.fixture
def small(bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    """The store is all of a disk of 16 MB."""
    with small_disk(tmp_path / "disk", "16m") as disk:
        yield replace(bench, store=DirectoryStore(disk))


def test_what_does_not_fit_into_the_store_leaves_nothing_there(small: Bench) -> None:
    small.run("CREATE TABLE first AS SELECT 1 AS id")
    good = small.create()
    small.fill(**WIDE)
    with pytest.raises(StoreFailed, match=NO_ROOM) as caught:
        small.create()
    assert "disk is full" in caught.value.hint
    assert small.files() == small.files_of(good)
    filler = fill_up(small.store.path)
    with pytest.raises(Refused, match="too little disk") as refused:  # before a byte is dumped
        small.create()
    assert f"in {small.store.path}" in refused.value.details
    assert "backup prune" in refused.value.hint
    assert small.files() == sorted([*small.files_of(good), "filler"])
    small.restore()  # which only reads there
    assert small.run("SELECT count(*) FROM pg_class WHERE relname = 'item'") == [(0,)]
    filler.unlink()
    later = small.create()
    assert small.files() == small.files_of(good, later)


@pytest.mark.parametrize("pointer", ["right", "wrong", "none"])
def test_a_prune_makes_room_on_a_disk_that_has_none(small: Bench, pointer: str) -> None:
    """Not even for a file of one line, which the pointer to the latest backup is."""
    small.fill(100)
    old, new = small.create(), small.create()
    if pointer == "wrong":
        small.store.put("prod.latest", f"{old.object}\n".encode())
    elif pointer == "none":
        small.store.delete("prod.latest")
    fill_up(small.store.path)
    with pytest.raises(StoreFailed):
        small.store.put("any", b"x")
    later = new.created_at + timedelta(seconds=1)
    plan = plan_prune((new, old), Policy(last=1), later, small.catalogue().checks)
    ports = small.ports()
    del ports["clock"]
    (gone,) = prune(plan, small.store, lock_holder=HOLDER, **ports)
    assert gone.backup.id == old.id
    assert small.files() == sorted([*small.files_of(new), "filler"])
    assert small.store.get("prod.latest") == f"{new.object}\n".encode()


# ------------------------------------------------------------------ where the server writes


def filling(disk: Path) -> tuple[list[Path], Reporter]:
    """A Reporter that takes the room, all but that of an empty database, before any row comes."""
    fillers: list[Path] = []

    def report(event: Event) -> None:
        if type(event).__name__ == "StepStarted" and getattr(event, "name", "") == "restore":
            fillers.append(fill_up(disk, but_bytes=4 << 20))

    return fillers, report


@pytest.fixture
def spaced(tmp_path: Path) -> Iterator[tuple[Bench, Path]]:
    with small_database("64m") as (database, disk):
        yield Bench(database, DirectoryStore(tmp_path / "store"), tmp_path / "host"), disk


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_that_is_full_while_the_copy_is_written(
    spaced: tuple[Bench, Path], jobs: int
) -> None:
    bench, disk = spaced
    bench.fill(rows=1500, width=8000)
    bench.create()
    bench.run("INSERT INTO item VALUES (0, 'later')")
    fillers, report = filling(disk)
    with pytest.raises(ToolFailed) as caught:
        bench.on(report).restore(jobs=jobs)
    assert NO_ROOM in caught.value.details
    assert bench.items() == 1501
    there = bench.databases()
    assert there.pop("stock") is True
    assert all(name.startswith("stock_restore_") for name in there)
    fillers[0].unlink()
    bench.create()  # sweeps what could not be dropped: that takes a checkpoint, which takes room
    assert bench.databases() == {"stock": True}
    ours = "SELECT 1 FROM pg_roles WHERE shobj_description(oid, 'pg_authid') LIKE %s"
    assert bench.run(ours, "%stock") == []
    bench.run("DELETE FROM item WHERE id = 0")
    bench.restore(jobs=jobs)
    assert bench.items() == 1501


def test_a_tablespace_without_room_is_said_before_anything_starts(
    spaced: tuple[Bench, Path],
) -> None:
    bench, disk = spaced
    bench.fill(rows=3500, width=8000)
    bench.create()
    fill_up(disk)
    with pytest.raises(Refused, match="too little disk") as caught:
        bench.plan()
    assert str(disk) in caught.value.message


def test_what_goes_to_one_disk_is_summed(spaced: tuple[Bench, Path]) -> None:
    """Copy, safety backup and decoded dump: each of them would fit alone."""
    bench, disk = spaced
    bench.fill(rows=1000, width=8000)
    store = DirectoryStore(disk / "store")
    beside = replace(bench, store=store, directory=disk / "host")
    backup = beside.create()
    beside.run("CHECKPOINT")
    filler = fill_up(disk, but_bytes=int(backup.database_bytes * 1.1) + backup.size_bytes // 2)
    with pytest.raises(Refused, match="too little disk") as caught:
        beside.plan(saved_into=store)
    assert "the copy about" in caught.value.details
    assert f"the safety backup about {format_size(backup.size_bytes)}" in caught.value.details
    assert "--skip-backup" in caught.value.hint
    assert beside.databases() == {"stock": True}
    elsewhere = beside.plan(saved_into=DirectoryStore(bench.directory / "other"))
    alone = beside.plan(jobs=2)
    assert alone.way.folder is None
    assert "too little for the decoded dump" in alone.way.why
    assert len(list(told(elsewhere.room))) == 2
    filler.unlink()
    roomy = beside.plan(saved_into=store, jobs=2)
    assert roomy.way.folder == str(beside.directory)
    ((line, known),) = told(roomy.room)
    assert known
    assert all(what in line for what in ("the copy", "the safety backup", "the decoded dump"))


def test_the_rows_of_one_table_need_room_too(spaced: tuple[Bench, Path]) -> None:
    bench, disk = spaced
    bench.fill(rows=1500, width=8000)
    bench.run("CREATE TABLE narrow AS SELECT 1 AS id")
    backup = bench.create()
    fill_up(disk, but_bytes=13 << 20)

    def back(table: str) -> TableBack:
        return restore_table(
            backup,
            table,
            bench.database,
            bench.store,
            identity_file=None,
            lock_holder=HOLDER,
            **bench.ports(),
        )

    with pytest.raises(Refused, match="too little disk"):
        back("public.item")
    assert bench.databases() == {"stock": True}
    assert back("public.narrow").rows == 1


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[tuple[Bench, Path]]:
    """A server that has all of its data on a small disk."""
    with tempfile.TemporaryDirectory(prefix="stockctl-disk-") as folder:
        Path(folder).chmod(0o711)
        with (
            small_disk(Path(folder) / "disk", "256m") as disk,
            a_server(ONE, disk, options=_OPTIONS) as database,
        ):
            bench = Bench(database, DirectoryStore(tmp_path / "store"), tmp_path / "host")
            bench.run("CREATE DATABASE stock")
            yield replace(bench, database=database.to("stock")), disk


def test_a_server_that_has_no_room_left_comes_back_as_it_was(cramped: tuple[Bench, Path]) -> None:
    """It may crash over it, when it cannot write its log: then it is started again, with room."""
    bench, disk = cramped
    bench.fill(rows=3000, width=8000)
    bench.create()
    bench.run("INSERT INTO item VALUES (0, 'later')")
    fillers, report = filling(disk)
    with pytest.raises(StockctlError) as caught:
        bench.on(report).restore()
    assert isinstance(caught.value, ToolFailed | DatabaseFailed)
    fillers[0].unlink()
    stop_all(disk)
    running(ONE, disk, options=_OPTIONS)
    assert bench.items() == 3001
    bench.create()  # sweeps what was left
    assert bench.databases() == {"stock": True}
    bench.restore()
    assert bench.items() == 3001
