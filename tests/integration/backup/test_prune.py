"""Carrying a prune plan out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stockctl.backup.catalog import list_backups
from stockctl.backup.manifest import Backup, new_id
from stockctl.backup.prune import prune
from stockctl.backup.retention import Drop, Policy, plan_prune
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.core.clock import SystemClock
from stockctl.core.errors import Locked, Refused, StoreFailed
from stockctl.core.progress import Progress, silent
from stockctl.system.host import Holder
from stockctl.system.local import LocalHost

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOLDER = Holder("anna@desk", "backup prune", NOW)


class Dying(DirectoryStore):
    """Fails at the second deletion."""

    deletions = 0

    def delete(self, name: str) -> None:
        self.deletions += 1
        if self.deletions == 2:
            raise StoreFailed("the disk went away")
        super().delete(name)


def backups(store: DirectoryStore, count: int) -> list[Backup]:
    made = []
    for number in range(count):
        moment = NOW - timedelta(days=number)
        backup = Backup(
            id=new_id(moment, "00aa"),
            environment="prod",
            created_at=moment,
            size_bytes=1,
            database_bytes=1,
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
        store.put(backup.object, b"x")
        store.put(backup.manifest, backup.to_json())
        made.append(backup)
    return made


@pytest.fixture
def ports(tmp_path: Path) -> dict[str, Any]:
    return {
        "host": LocalHost(),
        "directory": tmp_path / "host",
        "lock_holder": HOLDER,
        "progress": Progress(silent, SystemClock()),
    }


def test_what_the_plan_removes_is_gone(tmp_path: Path, ports: dict[str, Any]) -> None:
    store = DirectoryStore(tmp_path / "store")
    made = backups(store, 5)
    plan = plan_prune(made, Policy(last=2), NOW)
    assert prune(plan, store, **ports) == plan.remove
    assert list_backups(store, "prod").backups == tuple(made[:2])
    assert len(store.names()) == 5  # and `latest`
    assert prune(plan, store, **ports) == ()


def test_nothing_listed_ever_lacks_its_object(tmp_path: Path, ports: dict[str, Any]) -> None:
    made = backups(DirectoryStore(tmp_path / "store"), 3)
    store = Dying(tmp_path / "store")
    with pytest.raises(StoreFailed):
        prune(plan_prune(made, Policy(last=1), NOW), store, **ports)
    catalogue = list_backups(store, "prod")
    assert (len(catalogue.backups), catalogue.invalid) == (2, ())


def test_what_was_pinned_since_stays(tmp_path: Path, ports: dict[str, Any]) -> None:
    store = DirectoryStore(tmp_path / "store")
    made = backups(store, 3)
    plan = plan_prune(made, Policy(last=1), NOW)
    store.put(made[2].manifest, replace(made[2], pinned=True).to_json())
    gone = prune(plan, store, **ports)
    assert [type(each) for each in gone] == [Drop]
    assert [each.id for each in list_backups(store, "prod").backups] == [made[0].id, made[2].id]


def test_refused_when_nothing_would_be_left(tmp_path: Path, ports: dict[str, Any]) -> None:
    store = DirectoryStore(tmp_path / "store")
    made = backups(store, 3)
    plan = plan_prune(made, Policy(last=1), NOW)
    store.delete(made[0].manifest)
    with pytest.raises(Refused):
        prune(plan, store, **ports)
    assert len(list_backups(store, "prod").backups) == 2


def test_it_takes_the_backup_lock(tmp_path: Path, ports: dict[str, Any]) -> None:
    store = DirectoryStore(tmp_path / "store")
    plan = plan_prune(backups(store, 3), Policy(last=1), NOW)
    with (
        ports["host"].lock(ports["directory"] / "backup.lock", HOLDER),
        pytest.raises(Locked, match="anna@desk"),
    ):
        prune(plan, store, **ports)
