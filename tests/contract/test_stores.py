"""What every Store does. A new kind of store joins by adding its factory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stockctl.backup.stores.base import Store
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.core.errors import Locked, StoreFailed
from stockctl.system.host import Holder

HOLDER = Holder("anna@desk", "backup create", datetime(2026, 11, 22, 3, tzinfo=UTC))


def _directory(folder: Path) -> Store:
    return DirectoryStore(folder / "store")


FACTORIES: dict[str, Callable[[Path], Store]] = {"directory": _directory}


@pytest.fixture(params=sorted(FACTORIES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    made = FACTORIES[request.param](tmp_path)
    made.sweep("")
    return made


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
        writer.write(b"half")
        raise failure
    assert store.names() == ()
    assert store.sweep("") == ()


def test_a_block_without_commit_leaves_nothing(store: Store) -> None:
    with store.open_writer("a.dump") as writer:
        writer.write(b"half")
    assert store.names() == ()


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
        ours.write(b"x")
        other.write(b"x")
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
    kind = request.node.callspec.params["store"]
    argv = [sys.executable, __file__, kind, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(Locked, match=f"pid {other.pid}"), store.lock("app", HOLDER):
            pytest.fail("two hold it")
        other.kill()
        other.wait()
    with store.lock("app", HOLDER):
        pass


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden"])
def test_a_lock_has_a_name_from_the_allow_list(store: Store, name: str) -> None:
    with pytest.raises(StoreFailed, match="not a name"), store.lock(name, HOLDER):
        pytest.fail("locked")


def _hold(kind: str, folder: str) -> None:
    """The other process: locks and waits for what comes."""
    with FACTORIES[kind](Path(folder)).lock("app", HOLDER):
        sys.stdout.write("locked\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _hold(*sys.argv[1:])
