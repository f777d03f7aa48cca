"""What only a folder can do wrong."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.disks import make_read_only, small_disk

from stockctl.backup.catalog import list_backups
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.core.errors import StoreFailed
from stockctl.system.host import Holder

SMALL_BYTES = 256 * 1024
NOBODY = 65534
HOLDER = Holder("anna@desk", "backup prune", datetime(2026, 11, 22, 3, tzinfo=UTC))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", str(SMALL_BYTES)) as disk:
        yield disk


def test_only_we_can_read_it(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "deep" / "store")
    store.put("a", b"x")
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((store.path / "a").stat().st_mode) == 0o600


def test_a_file_that_the_disk_begins_with_early_is_whole(tmp_path: Path) -> None:
    """Pages are handed to the disk while more are written."""
    store = DirectoryStore(tmp_path / "store")
    blocks = [os.urandom(1 << 20) for _ in range(20)]
    with store.open_writer("a") as writer:
        for block in blocks:
            writer.write(block)
        writer.commit()
    assert store.get("a") == b"".join(blocks)


def test_links_are_not_followed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    store.put("a", b"x")
    (tmp_path / "outside").write_bytes(b"secret")
    (store.path / "link").symlink_to(tmp_path / "outside")
    assert store.names() == ("a",)
    with pytest.raises(StoreFailed, match="link") as caught:
        store.get("link")
    assert "not followed" in caught.value.hint
    store.put("link", b"ours")
    assert (tmp_path / "outside").read_bytes() == b"secret"


def test_a_missing_folder_is_not_an_empty_store(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed) as caught:
        DirectoryStore(tmp_path / "unmounted").names()
    assert "mounted" in caught.value.hint


def test_a_folder_of_our_own_is_empty_until_something_is_stored(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "host" / "backups", make=True)
    assert store.names() == ()
    assert list_backups(store, "prod").backups == ()
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o700
    store.put("a", b"x")
    assert store.names() == ("a",)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed):
        DirectoryStore(tmp_path / "file", make=True).names()


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed):
        DirectoryStore(tmp_path / "file").put("a", b"")
    with pytest.raises(StoreFailed) as caught:
        DirectoryStore(tmp_path / "file" / "below").put("a", b"")
    assert "must name a folder" in caught.value.hint


def test_a_disk_that_fails_while_it_is_read() -> None:
    """The kernel's own file with nothing at its beginning: it opens, and reading is EIO."""
    store = DirectoryStore(Path("/proc/self"))
    with pytest.raises(StoreFailed, match="cannot read /proc/self/mem") as caught:
        store.get("mem")
    assert "failing" in caught.value.hint
    with store.reader("mem") as file, pytest.raises(StoreFailed, match="cannot read"):
        file.read(10)


def test_a_folder_in_place_of_an_object(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StoreFailed, match="cannot read") as caught:
        DirectoryStore(tmp_path).get("a")
    assert "folder" in caught.value.hint


def test_a_full_disk(small: Path) -> None:
    store = DirectoryStore(small)
    store.put("old", b"x")
    with pytest.raises(StoreFailed) as caught:
        store.put("big", b"x" * (2 * SMALL_BYTES))
    assert "disk is full" in caught.value.hint
    assert store.names() == ("old",)
    assert [entry.name for entry in small.iterdir()] == ["old"]


def test_a_read_only_disk(small: Path) -> None:
    make_read_only(small)
    with pytest.raises(StoreFailed) as caught:
        DirectoryStore(small).put("a", b"x")
    assert "read-only" in caught.value.hint


def test_a_full_disk_can_be_locked_for_the_prune(small: Path) -> None:
    store = DirectoryStore(small)
    with pytest.raises(StoreFailed), store.open_writer("big") as writer:
        try:
            writer.write(b"x" * (2 * SMALL_BYTES))
        finally:
            with store.lock("prod", HOLDER):
                store.delete("big")


def test_a_read_only_disk_can_be_restored_from(small: Path) -> None:
    store = DirectoryStore(small)
    store.put("a", b"x")
    make_read_only(small)
    with store.lock("prod", HOLDER):
        assert store.get("a") == b"x"


@pytest.fixture
def nobody() -> Iterator[None]:
    """For root, who may write everywhere: somebody else for the length of a test."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    (tmp_path / ".prod.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreFailed, match="lock"), store.lock("prod", HOLDER):
        pytest.fail("locked")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.usefixtures("nobody")
def test_a_folder_of_somebody_else() -> None:
    folder = Path("/")  # nobody's, and on every machine
    with pytest.raises(StoreFailed) as caught:
        DirectoryStore(folder).put("a", b"x")
    assert "belong" in caught.value.hint
