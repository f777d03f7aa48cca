"""What every Store does. A new kind of store joins by adding its factory."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest
from tests.remotes import REPO, s3_options, within

from stockctl.backup.stores.base import Store
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.backup.stores.s3 import S3Store
from stockctl.backup.stores.sftp import SftpStore
from stockctl.core.errors import Locked, StoreFailed
from stockctl.system.host import Holder
from stockctl.system.ssh import SshHost
from stockctl.system.ssh_address import Address, Target

HOLDER = Holder("anna@desk", "backup create", datetime(2026, 11, 22, 3, tzinfo=UTC))


LEASE_S = 10.0
PART_BYTES = 5 << 20  # the least that S3 takes
ENOUGH = b"x" * (PART_BYTES + 100_000)  # so that every kind of store has begun to write


def _directory(folder: Path, _server: str) -> Store:
    return DirectoryStore(folder / "store")


def _s3(folder: Path, endpoint: str) -> Store:
    options = s3_options(endpoint, "backups", f"tests/{folder.name}")
    return S3Store(options, part_bytes=PART_BYTES, lease_s=LEASE_S)


def _sftp(folder: Path, server: str) -> Store:
    port, keys = server.split(" ", 1)
    address = Address("127.0.0.1", None, int(port))
    target = Target(address, Path(keys) / "known_hosts", Path(keys) / "key")
    store = SftpStore(SshHost(target), PurePosixPath(folder / "deep" / "store"), lease_s=LEASE_S)
    OPEN.append(store)
    return store


FACTORIES: dict[str, Callable[[Path, str], Store]] = {
    "directory": _directory,
    "s3": _s3,
    "sftp": _sftp,
}
OPEN: list[SftpStore] = []


def _server(kind: str, request: pytest.FixtureRequest) -> str:
    """What a factory needs to know, also in another process."""
    if kind == "s3":
        return str(request.getfixturevalue("s3").endpoint)
    if kind == "sftp":
        sshd = request.getfixturevalue("sshd")
        return f"{sshd.port} {sshd.folder}"
    return ""


@pytest.fixture(params=sorted(FACTORIES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = FACTORIES[request.param](tmp_path, _server(request.param, request))
    made.sweep("")
    yield made
    while OPEN:
        OPEN.pop().close()
    if isinstance(made, S3Store):
        made.client.close()


def _write(store: Store, name: str, *parts: bytes) -> None:
    with store.open_writer(name) as writer:
        for part in parts:
            assert writer.write(part) == len(part)
        writer.commit()


def test_what_is_written_is_read(store: Store) -> None:
    _write(store, "a.dump", b"one", b"", b"two")
    with store.reader("a.dump") as file:
        assert file.read(4) == b"onet"
        assert file.read(100) == b"wo"
    assert store.size("a.dump") == 6
    assert store.get("a.dump") == b"onetwo"


def test_the_room_there_is_known_but_of_a_bucket(store: Store, tmp_path: Path) -> None:
    disk = store.disk()
    if isinstance(store, S3Store):
        assert disk is None
        return
    assert disk is not None
    free = shutil.disk_usage(tmp_path).free  # others write to it meanwhile
    assert abs(disk.free_bytes - free) < max(free * 0.2, 1 << 30)
    folder = tmp_path / ("deep" if isinstance(store, SftpStore) else "store")
    folder.rename(tmp_path / "away")
    before_it_is_made = store.disk()
    assert before_it_is_made is not None
    assert before_it_is_made.id == disk.id


def test_an_object_is_not_there_before_commit(store: Store) -> None:
    with store.open_writer("a.dump") as writer:
        writer.write(b"x" * 100_000)
        assert store.names() == ()
        with pytest.raises(StoreFailed):
            store.get("a.dump")
        writer.commit()
    assert store.names() == ("a.dump",)


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_nothing(store: Store, failure: type[BaseException]) -> None:
    with pytest.raises(failure), store.open_writer("a.dump") as writer:
        writer.write(ENOUGH)
        raise failure
    assert store.names() == ()
    assert store.sweep("") == ()


def test_a_block_without_commit_leaves_nothing(store: Store) -> None:
    with store.open_writer("a.dump") as writer:
        writer.write(ENOUGH)
    assert store.names() == ()
    assert store.sweep("") == ()


def test_a_long_stream_arrives_whole(store: Store) -> None:
    blocks = [secrets.token_bytes(1_000_003) for _ in range(17)]
    with store.open_writer("a.dump", 17 << 20) as writer:
        for block in blocks:
            writer.write(block)
        writer.commit()
    assert store.size("a.dump") == sum(map(len, blocks))
    with store.reader("a.dump") as file:
        assert file.read() == b"".join(blocks)


def test_a_listing_tells_sizes_and_what_has_changed(store: Store) -> None:
    store.put("a", b"one")
    store.put("b", b"")
    first = store.entries()
    assert {name: entry.size for name, entry in first.items()} == {"a": 3, "b": 0}
    assert abs((datetime.now(UTC) - first["a"].modified).total_seconds()) < 100
    store.put("a", b"three")
    second = store.entries()
    assert second["a"].version != first["a"].version
    assert second["b"].version == first["b"].version


def test_put_replaces(store: Store) -> None:
    store.put("a.json", b"old and long")
    store.put("a.json", b"new")
    assert store.get("a.json") == b"new"
    assert store.names() == ("a.json",)


def test_a_failed_rewrite_keeps_what_was_there(store: Store) -> None:
    store.put("a.json", b"old")
    with store.open_writer("a.json") as writer:
        writer.write(b"new")
    assert store.get("a.json") == b"old"


def test_names_are_sorted_and_deleted_ones_gone(store: Store) -> None:
    for name in ("c", "a", "b"):
        store.put(name, b"")
    store.delete("b")
    store.delete("b")
    assert store.names() == ("a", "c")


@pytest.mark.parametrize(
    "name", ["", "../a", "a/b", "/etc/passwd", ".hidden", "-rf", "a b", "a\n", "ä", "x" * 201]
)
def test_names_outside_the_allow_list_are_refused(store: Store, name: str) -> None:
    for call in (store.get, store.delete, store.size, lambda n: store.put(n, b"")):
        with pytest.raises(StoreFailed, match="not a name"):
            call(name)
    assert store.names() == ()


def test_what_is_missing_says_so(store: Store) -> None:
    for call in (store.get, store.size):
        with pytest.raises(StoreFailed) as caught:
            call("nothing")
        assert "nothing" in caught.value.message
        assert caught.value.hint


def test_sweep_takes_unfinished_writes_of_its_prefix_only(store: Store) -> None:
    store.put("app.done", b"x")
    with store.open_writer("app.half") as ours, store.open_writer("app_test.half") as other:
        ours.write(ENOUGH)
        other.write(ENOUGH)
        assert store.sweep("app.") == ("app.half",)
        other.commit()
    assert store.names() == ("app.done", "app_test.half")


def test_it_says_where_it_is(store: Store) -> None:
    assert store.describe()


def test_one_holder_for_each_environment(store: Store, tmp_path: Path) -> None:
    with store.lock("app", HOLDER):
        with pytest.raises(Locked) as caught, store.lock("app", HOLDER):
            pytest.fail("two hold it")
        assert "anna@desk" in caught.value.message
        assert "backup create since 2026-11-22T03:00:00Z" in caught.value.message
        assert store.describe() in caught.value.message
        assert caught.value.hint
        with store.lock("app_test", HOLDER):
            store.put("a", b"x")
    with store.lock("app", HOLDER):
        assert store.names() == ("a",)
    assert store.sweep("") == ()


def test_a_failed_block_lets_the_lock_go(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), store.lock("app", HOLDER):
        raise KeyboardInterrupt
    with store.lock("app", HOLDER):
        pass


def test_a_killed_holder_holds_nothing(
    store: Store, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """In a store on another machine as soon as its lease has ended."""
    kind = request.node.callspec.params["store"]
    argv = [sys.executable, __file__, kind, str(tmp_path), _server(kind, request)]
    with _popen(argv) as other:
        assert other.stdout
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(Locked, match=f"pid {other.pid}"), store.lock("app", HOLDER):
            pytest.fail("two hold it")
        other.kill()
        other.wait()
    assert within(5 * LEASE_S, lambda: _is_free(store))


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden"])
def test_a_lock_has_a_name_from_the_allow_list(store: Store, name: str) -> None:
    with pytest.raises(StoreFailed, match="not a name"), store.lock(name, HOLDER):
        pytest.fail("locked")


def _popen(argv: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def _is_free(store: Store) -> bool:
    try:
        with store.lock("app", HOLDER):
            return True
    except Locked:
        return False


def test_a_holder_keeps_it_for_as_long_as_it_works(store: Store) -> None:
    """Longer than any lease lasts by itself, and however often somebody else tries."""
    with store.lock("app", HOLDER):
        lasts = 0.2 if isinstance(store, DirectoryStore) else LEASE_S + 1.5
        deadline = time.monotonic() + lasts
        while time.monotonic() < deadline:
            assert not _is_free(store)
        store.put("a", b"x")
        store.delete("a")


def test_of_many_who_come_at_once_one_at_a_time_gets_in(store: Store) -> None:
    inside: list[int] = []
    most: list[int] = []

    def come(number: int) -> None:
        with suppress(Locked), store.lock("app", HOLDER):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)

    threads = [threading.Thread(target=come, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most, default=0) == 1


def _hold(kind: str, folder: str, server: str) -> None:
    """The other process: locks and waits for what comes."""
    with FACTORIES[kind](Path(folder), server).lock("app", HOLDER):
        sys.stdout.write("locked\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _hold(*sys.argv[1:])
