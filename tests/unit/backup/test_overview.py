"""What a list shows without reading each manifest is what reading them would show."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stockctl.backup import overview as subject
from stockctl.backup.catalog import LATEST, choose, list_backups, open_backup, point_at
from stockctl.backup.checks import Checks, checks_name, read_checks, write_checks
from stockctl.backup.index import index_name, summarize
from stockctl.backup.manifest import Backup, new_id
from stockctl.backup.overview import Overview, overview
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.core.errors import BackupInvalid, StoreFailed

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MANY = 80


class Counting(DirectoryStore):
    """Counts what is read, and can be full."""

    read: int = 0
    full: bool = False

    def get(self, name: str) -> bytes:
        self.read += 1
        return super().get(name)

    def put(self, name: str, data: bytes) -> None:
        if self.full:
            raise StoreFailed("the disk is full")
        super().put(name, data)


def make(store: DirectoryStore, number: int, environment: str = "app") -> Backup:
    moment = NOW - timedelta(hours=number)
    backup = Backup(
        id=new_id(moment, f"{number:04x}"),
        environment=environment,
        created_at=moment,
        size_bytes=3,
        database_bytes=1,
        duration_s=1.5,
        sha256="0" * 64,
        recipients=("age1x",) if number % 2 else (),
        compression=3,
        database="stock",
        server_version="18.0",
        schema_head="0001_initial_schema",
        fingerprint=(("public.a", number), ("public.b", 2)),
        label="before the move" if number % 3 else None,
        pinned=number % 5 == 0,
        stockctl="0.1.0",
    )
    store.put(backup.object, b"xyz")
    if number % 4:
        write_checks(store, backup, Checks().passed(moment, "archive"))
    store.put(backup.manifest, backup.to_json())
    return backup


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    """With many backups, long written: their times are in the past."""
    made = Counting(tmp_path / "store")
    for number in range(MANY):
        make(made, number)
    for file in made.path.iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))
    made.put("other.latest", b"")  # so that they are not the newest there is
    return made


def same(found: Overview, store: DirectoryStore) -> None:
    """It is what reading every manifest shows."""
    truth = list_backups(store, "app")
    newest_first = sorted(truth.backups, key=lambda b: b.created_at, reverse=True)
    assert list(found.backups) == [summarize(each) for each in newest_first]
    assert found.invalid == truth.invalid
    assert {b.id: found.checks_of(b) for b in found.backups} == {
        b.id: truth.checks_of(b) for b in truth.backups
    }


@pytest.mark.parametrize("depth", ["bytes", "archive", "drilled"])
def test_a_record_of_before_says_when_it_was_decoded(tmp_path: Path, depth: str) -> None:
    store = DirectoryStore(tmp_path / "store", make=True)
    backup = make(store, 4)
    archive, drill = Checks().passed(NOW, "archive"), Checks().drilled(NOW, 3.0)
    checks = {"bytes": Checks().passed(NOW, "bytes"), "archive": archive}.get(
        depth, drill.passed(NOW, "bytes")
    )
    write_checks(store, backup, checks)
    fields = json.loads(store.get(checks_name(backup)))
    del fields["decoded_at"], fields["drilled_on"]
    store.put(checks_name(backup), json.dumps(fields).encode())
    assert read_checks(store, backup) == checks


def test_the_second_time_only_the_index_is_read(store: Counting) -> None:
    same(overview(store, "app"), store)
    store.read = 0
    found = overview(store, "app")
    assert store.read == 1
    same(found, store)


def test_what_has_changed_is_read_anew(store: Counting) -> None:
    overview(store, "app")
    new, pinned, failed, gone = make(store, 200), make(store, 7), make(store, 9), make(store, 11)
    store.put(pinned.manifest, replace(pinned, pinned=True).to_json())
    write_checks(store, failed, Checks(failed="it is cut short"))
    store.delete(gone.manifest)
    cut = make(store, 13)
    store.put(cut.object, b"x")
    changed = make(store, 15)
    store.put(changed.manifest, changed.to_json().replace(b"stock", b"stick"))
    store.read = 0
    found = overview(store, "app")
    assert store.read < 20
    same(found, store)
    assert new.id in {b.id for b in found.backups}
    assert found.checks_of(failed).failed
    assert {reason.split(":")[0] for _name, reason in found.invalid} >= {cut.manifest}


@pytest.mark.parametrize(
    "content", [b"", b"not zstd", secrets.token_bytes(2000), b"\x28\xb5\x2f\xfd\x00"]
)
def test_an_index_that_is_broken_is_none(store: Counting, content: bytes) -> None:
    overview(store, "app")
    store.put(index_name("app"), content)
    same(overview(store, "app"), store)
    store.read = 0
    same(overview(store, "app"), DirectoryStore(store.path))
    assert store.read == 1  # it was made anew


def test_one_of_another_environment_or_an_old_one_is_no_lie(store: Counting) -> None:
    overview(store, "app")
    old = store.get(index_name("app"))
    for number in range(100, 170):
        make(store, number)
    overview(store, "app")
    store.put(index_name("app"), old)  # the slower of two writers
    same(overview(store, "app"), store)
    make(store, 3, environment="app_test")
    store.put(index_name("app_test"), old)
    assert len(overview(store, "app_test").backups) == 1


def test_a_store_that_takes_no_index_is_only_slower(store: Counting) -> None:
    store.full = True
    same(overview(store, "app"), store)


def test_few_backups_need_none(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    make(store, 1)
    same(overview(store, "app"), store)
    assert index_name("app") not in store.names()


def test_what_has_just_been_written_is_not_relied_on(tmp_path: Path) -> None:
    """Where times are whole seconds, it may change once more and look the same."""
    store = Counting(tmp_path)
    for number in range(subject._WORTH_AN_INDEX):
        make(store, number)
    for file in store.path.iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))
    overview(store, "app")
    store.read = 0
    overview(store, "app")
    assert store.read > subject._WORTH_AN_INDEX


def test_leftovers_and_foreign_files(tmp_path: Path) -> None:
    store = Counting(tmp_path)
    good, dead = make(store, 1), make(store, 2)
    store.delete(dead.manifest)
    make(store, 3, environment="app_test")
    point_at(store, "app", good.object)
    store.put("README.txt", b"")
    found = overview(store, "app")
    assert {each.name for each in found.leftovers} == {
        dead.object,
        dead.manifest.replace("json", "checks.json"),
    }
    assert found.foreign == ("README.txt",)
    assert [b.id for b in found.backups] == [good.id]


def test_choosing_one_reads_its_manifest_and_no_other(store: Counting) -> None:
    truth = {each.id: each for each in list_backups(store, "app").backups}
    overview(store, "app")
    for which in (LATEST, new_id(NOW - timedelta(hours=7), "0007")):
        store.read = 0
        chosen = choose(overview(store, "app"), which, NOW)
        assert open_backup(store, chosen) == truth[chosen.id]
        assert store.read == 2


def test_what_changed_since_it_was_chosen_is_not_opened(store: Counting) -> None:
    """The index may say what it likes: the manifest is read, the object looked for."""
    cut, edited, exchanged, gone, *_ = overview(store, "app").backups
    store.put(cut.object, b"x")
    store.put(edited.manifest, store.get(edited.manifest).replace(b'"stock"', b'"stick"'))
    store.put(exchanged.manifest, store.get(gone.manifest))
    store.delete(gone.object)
    for each, why in (
        (cut, "1 bytes, the manifest says 3"),
        (edited, edited.manifest),
        (exchanged, "manifest of another backup"),
    ):
        with pytest.raises(BackupInvalid, match=why):
            open_backup(store, each)
    with pytest.raises(StoreFailed):
        open_backup(store, gone)
