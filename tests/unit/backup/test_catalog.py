"""What is listed, what is not, and choosing among it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stockctl.backup.catalog import choose, list_backups, orphans
from stockctl.backup.manifest import Backup, new_id
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.core.errors import BackupInvalid, UsageError

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def add(store: DirectoryStore, environment: str = "app", minutes: int = 0) -> Backup:
    moment = AT + timedelta(minutes=minutes)
    backup = Backup(
        id=new_id(moment, "00aa"),
        environment=environment,
        created_at=moment,
        size_bytes=4,
        database_bytes=100,
        duration_s=1.0,
        sha256="0" * 64,
        recipients=(),
        compression=3,
        database="stock",
        server_version="18.0",
        schema_head=None,
        fingerprint=(),
        label=None,
        pinned=False,
        stockctl="0.1.0",
    )
    store.put(backup.object, b"data")
    store.put(backup.manifest, backup.to_json())
    return backup


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def test_newest_first_and_only_ours(store: DirectoryStore) -> None:
    first, second = add(store), add(store, minutes=1)
    other = add(store, "app_test", minutes=2)
    add(store, "App", minutes=3)
    store.put("README.txt", b"not ours")
    catalogue = list_backups(store, "app")
    assert catalogue.backups == (second, first)
    assert catalogue.invalid == ()
    assert list_backups(store, "app_test").backups == (other,)


def test_what_is_not_sound_is_named_with_its_reason(store: DirectoryStore) -> None:
    cut, gone, short, moved = (add(store, minutes=number) for number in range(4))
    store.put(cut.manifest, cut.to_json()[:-9])
    store.delete(gone.object)
    store.put(short.object, b"dat")
    store.put(moved.manifest, replace(moved, environment="other").to_json())
    catalogue = list_backups(store, "app")
    assert catalogue.backups == ()
    reasons = dict(catalogue.invalid)
    assert "cut" in reasons[cut.manifest]
    assert "not in the store" in reasons[gone.manifest]
    assert "has 3 bytes" in reasons[short.manifest]
    assert "another backup" in reasons[moved.manifest]
    with pytest.raises(BackupInvalid, match="has 3 bytes"):
        choose(catalogue, short.id, AT)


def test_orphans_are_objects_without_any_manifest(store: DirectoryStore) -> None:
    whole, broken, alone = (add(store, minutes=number) for number in range(3))
    foreign = add(store, "app_test")
    store.put(broken.manifest, b"{")
    store.delete(alone.manifest)
    store.delete(foreign.manifest)
    assert orphans(store, "app") == (alone.object,)
    assert whole.object in store.names()


def test_choose(store: DirectoryStore) -> None:
    with pytest.raises(UsageError, match="app has no backup") as caught:
        store.sweep("")
        choose(list_backups(store, "app"), "latest", AT)
    assert "backup create" in caught.value.hint
    first, second = add(store), add(store, minutes=1)
    catalogue = list_backups(store, "app")
    assert choose(catalogue, "latest", AT) == second
    assert choose(catalogue, first.id, AT) == first
    with pytest.raises(UsageError) as caught:
        choose(catalogue, first.id[:-1] + "b", AT)
    assert caught.value.hint == f"Did you mean {first.id}?"


def test_the_latest_is_none_of_a_clock_that_was_ahead(store: DirectoryStore) -> None:
    """But a clock that is an hour behind makes no backup old; and one of the future is better than
    none."""
    ahead = add(store, minutes=60 * 24 * 3653)
    assert choose(list_backups(store, "app"), "latest", AT) == ahead
    add(store)
    soon = add(store, minutes=60)
    catalogue = list_backups(store, "app")
    assert catalogue.backups[0] == ahead
    assert choose(catalogue, "latest", AT) == soon
    assert choose(catalogue, ahead.id, AT) == ahead
