"""The folder for plaintext: who sees it, and how long it lives."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from stockctl.core.errors import HostFailed, Terminated
from stockctl.env.workspace import PREFIX, bases, private_folder, sweep


@pytest.fixture
def process(tmp_path: Path) -> Mapping[str, str]:
    """A user with a runtime folder of her own."""
    tmp_path.chmod(0o700)
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def test_private_and_gone_afterwards(process: Mapping[str, str], tmp_path: Path) -> None:
    with private_folder(process) as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / ".prod.env.swp").write_text("left by an editor")
        (folder / "link").symlink_to(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_gone_after_any_exception(
    process: Mapping[str, str], tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), private_folder(process) as folder:
        (folder / "plain").write_text("x")
        raise error
    assert not list(tmp_path.iterdir())


@pytest.fixture
def interrupted() -> Iterator[list[int]]:
    """Every SIGTERM that got through; each raises, as the program's own handler does."""
    found: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        found.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield found
    signal.signal(signal.SIGTERM, before)


def term() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("ended_by", ["a signal", "itself"])
def test_a_signal_waits_until_all_is_removed(
    process: Mapping[str, str], tmp_path: Path, interrupted: list[int], ended_by: str
) -> None:
    """As somebody in a hurry presses Ctrl-C twice: the second one arrives in the clean-up, also
    where a thread that blocks no signal takes it."""
    hurried: list[bool] = []

    def hurry(event: str, arguments: tuple[object, ...]) -> None:
        if event == "shutil.rmtree" and str(tmp_path) in str(arguments[0]) and not hurried:
            hurried.append(True)
            term()

    sys.addaudithook(hurry)
    idle = threading.Event()
    thread = threading.Thread(target=idle.wait)
    thread.start()
    with pytest.raises(KeyboardInterrupt), private_folder(process) as folder:
        (folder / "plain").write_text("x")
        if ended_by == "a signal":
            term()
    idle.set()
    thread.join()
    assert hurried
    assert len(interrupted) == 1 + (ended_by == "a signal")
    assert not list(tmp_path.iterdir())


def test_a_signal_in_the_block_arrives_there(
    process: Mapping[str, str], interrupted: list[int]
) -> None:
    with private_folder(process):
        with pytest.raises(KeyboardInterrupt):
            term()
        assert interrupted == [signal.SIGTERM]


def test_where_nobody_handles_a_signal_the_folder_goes_first(
    process: Mapping[str, str], tmp_path: Path
) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(Terminated), private_folder(process):
            term()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not list(tmp_path.iterdir())


def test_handlers_are_as_before_and_ignored_stays_ignored(process: Mapping[str, str]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    try:
        with private_folder(process):
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert [signal.getsignal(number) for number in numbers] == handlers
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_a_killed_run_left_is_swept_and_what_lives_is_not(
    process: Mapping[str, str], tmp_path: Path
) -> None:
    dead = tmp_path / f"{PREFIX}dead"
    dead.mkdir()
    (dead / "prod.env").write_text("plaintext")
    (tmp_path / "somebody-elses").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "somebody-elses")
    with private_folder(process) as living:
        assert sweep(process) == [dead]
        assert living.is_dir()
    assert {each.name for each in tmp_path.iterdir()} == {"somebody-elses", f"{PREFIX}link"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_folders_of_other_users_are_theirs(process: Mapping[str, str], tmp_path: Path) -> None:
    theirs = tmp_path / f"{PREFIX}theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    assert theirs not in sweep(process)
    assert theirs.is_dir()


def test_a_held_folder_is_not_swept(process: Mapping[str, str], tmp_path: Path) -> None:
    held = tmp_path / f"{PREFIX}held"
    held.mkdir()
    descriptor = os.open(held, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert held not in sweep(process)
    finally:
        os.close(descriptor)
    assert held in sweep(process)


def test_where_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    assert bases({"XDG_RUNTIME_DIR": str(tmp_path)})[0] == tmp_path
    for unusable in ("", "relative", str(tmp_path / "absent")):
        assert bases({"XDG_RUNTIME_DIR": unusable})[0] != Path(unusable)
    tmp_path.chmod(0o777)  # where others could put something else in its place
    assert tmp_path not in bases({"XDG_RUNTIME_DIR": str(tmp_path)})
    tmp_path.chmod(0o1777)
    assert tmp_path in bases({"XDG_RUNTIME_DIR": str(tmp_path)})


def test_what_cannot_be_removed_is_said(process: Mapping[str, str], tmp_path: Path) -> None:
    with (
        pytest.raises(HostFailed, match="which may hold plaintext"),
        private_folder(process) as folder,
    ):
        moved = folder.rename(tmp_path / "moved")
        folder.write_text("a file in its place")
    assert moved.is_dir()
