"""Which backup `backup restore` takes when nobody names one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.servers import scratch

from stockctl.backup.manifest import Backup, new_id
from stockctl.backup.stores.directory import DirectoryStore

STOCKCTL = Path(sys.executable).with_name("stockctl")


@pytest.fixture
def root() -> Iterator[Path]:
    with scratch("tests") as folder:
        environments = folder / "environments"
        environments.mkdir()
        (environments / "one.toml").write_text("[database]\nembedded = true\n")
        yield folder


def run(root: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    argv = [str(STOCKCTL), "--root", str(root), "--json", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def test_a_damaged_newest_backup_is_not_passed_over_in_silence(root: Path) -> None:
    ids = [run(root, "backup", "create")[1]["data"]["backup"]["id"] for _ in range(2)]
    newest = max(ids)
    manifest = root / ".stockctl" / "one" / "backups" / f"one.{newest}.json"
    manifest.write_text(manifest.read_text().replace('"rows"', '"rows "'))
    code, said = run(root, "backup", "restore", "--yes")
    assert code == 8
    assert min(ids) in said["error"]["hint"]
    code, said = run(root, "backup", "restore", "--yes", "--backup", min(ids))
    assert code == 0, said
    assert said["data"]["restored"]["id"] == min(ids)


def test_a_path_with_a_space_is_said(root: Path) -> None:
    spaced = root / "with space" / "environments"
    spaced.mkdir(parents=True)
    (spaced / "one.toml").write_text("[database]\nembedded = true\n")
    code, said = run(spaced.parent, "backup", "create")
    assert code == 3
    assert "space" in said["error"]["message"]


def dated_ahead(root: Path, identity: str) -> str:
    """Puts a backup ten years into the future, as a clock that is wrong would; its new id."""
    store = DirectoryStore(root / ".stockctl" / "one" / "backups")
    backup = Backup.from_json(store.get(f"one.{identity}.json"))
    at = backup.created_at + timedelta(days=3653)
    moved = replace(backup, id=new_id(at, "00aa"), created_at=at)
    store.put(moved.object, store.get(backup.object))
    store.put(moved.manifest, moved.to_json())
    for name in store.names():
        if identity in name:
            store.delete(name)
    return moved.id


def test_a_backup_from_the_future_is_passed_over_and_named(root: Path) -> None:
    good, last = (run(root, "backup", "create")[1]["data"]["backup"]["id"] for _ in range(2))
    ahead = dated_ahead(root, last)
    argv = [str(STOCKCTL), "--root", str(root), "backup", "restore", "--plan"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"dated to come: {ahead}" in done.stderr
    assert f"Taken: {good}" in done.stderr
    code, said = run(root, "backup", "restore", "--yes", "--backup", ahead)
    assert (code, said["data"]["restored"]["id"]) == (0, ahead)
