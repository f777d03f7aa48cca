"""What happens to programs, files and locks when we are killed or the disk is full."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest
from tests.children import untraced
from tests.disks import make_read_only, small_disk

from stockctl.core.clock import SystemClock
from stockctl.core.errors import HostFailed, Locked
from stockctl.core.progress import Event, Message
from stockctl.core.redact import Redactor
from stockctl.core.secret import Secret
from stockctl.system.host import Holder
from stockctl.system.journal_file import Journal, operator
from stockctl.system.local import LocalHost

HOLDER = Holder("ada@host", "deploy prod", datetime(2026, 11, 22, 3, 0, tzinfo=UTC))


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def group(leader: int) -> list[int]:
    """Who lives in the process group of that leader."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and alive(int(folder.name)):
            try:
                if os.getpgid(int(folder.name)) == leader:
                    found.append(int(folder.name))
            except ProcessLookupError:
                continue
    return found


@contextmanager
def python(script: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    argv = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=untraced()) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.kill()


PARENT = """
    import signal, sys, threading
    from stockctl.core.command import Command
    from stockctl.core.errors import Terminated
    from stockctl.system.local import LocalHost

    def terminated(*_):
        raise Terminated

    signal.signal(signal.SIGTERM, terminated)
    script = 'echo $$; sleep 300 & sleep 300'
    with LocalHost().stream(Command(("sh", "-c", script))) as child:
        print(child.stdout.readline().decode().strip(), flush=True)
        child.check(300)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_program_of_ours_outlives_us(number: signal.Signals) -> None:
    with python(PARENT) as (parent, stdout):
        leader = int(stdout.readline())
        assert within(5, lambda: len(group(leader)) == 3)
        parent.send_signal(number)
        parent.wait(20)
        assert within(5, lambda: group(leader) == [])


def test_children_end_also_when_the_watchdog_was_killed_before() -> None:
    script = """
        from stockctl.core.command import Command
        from stockctl.system import process
        from stockctl.system.local import LocalHost

        host = LocalHost()
        host.run(Command(("true",)), timeout_s=10)
        process._watchdog._shell.kill()
        process._watchdog._shell.wait()
        with host.stream(Command(("sh", "-c", "echo $$; sleep 300 & sleep 300"))) as child:
            print(child.stdout.readline().decode().strip(), flush=True)
            child.check(300)
    """
    with python(script) as (parent, stdout):
        leader = int(stdout.readline())
        parent.kill()
        parent.wait(20)
        assert within(5, lambda: group(leader) == [])


def test_what_ignores_sigterm_ends_too() -> None:
    parent_script = (
        PARENT.replace("echo $$;", "trap '' TERM; echo $$;")
        .replace("script = '", 'script = "')
        .replace("sleep 300'", 'sleep 300"')
    )
    with python(parent_script) as (parent, stdout):
        leader = int(stdout.readline())
        assert within(5, lambda: len(group(leader)) == 3)
        parent.kill()
        parent.wait(20)
        assert within(8, lambda: group(leader) == [])


def test_the_watchdog_goes_when_we_go() -> None:
    script = """
        from stockctl.core.command import Command
        from stockctl.system import process
        from stockctl.system.local import LocalHost

        LocalHost().run(Command(("true",)), timeout_s=10)
        print(process._watchdog._shell.pid, flush=True)
    """
    with python(script) as (parent, stdout):
        watchdog = int(stdout.readline())
        assert parent.wait(20) == 0
        assert within(5, lambda: not alive(watchdog))


LOCKER = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from stockctl.system.host import Holder
    from stockctl.system.local import LocalHost

    holder = Holder("eve@elsewhere", "backup create", datetime(2026, 11, 22, 3, 0, tzinfo=UTC))
    with LocalHost().lock(Path(sys.argv[1]), holder):
        print("held", flush=True)
        sys.stdin.read() if len(sys.argv) > 2 else __import__("time").sleep(300)
"""


def test_a_second_process_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with python(LOCKER, str(path)) as (process, stdout):
        assert stdout.readline() == b"held\n"
        with pytest.raises(Locked) as caught, LocalHost().lock(path, HOLDER):
            pytest.fail("two hold it")
        told = str(caught.value)
        assert "eve@elsewhere" in told
        assert f"pid {process.pid}" in told
        assert "backup create since 2026-11-22T03:00:00Z" in told
        assert LocalHost().holder(path) == told.removeprefix("locked by ")


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with python(LOCKER, str(path)) as (process, stdout):
        assert stdout.readline() == b"held\n"
        process.kill()
        process.wait(10)
        assert LocalHost().holder(path) is None
        with LocalHost().lock(path, HOLDER):
            assert "ada@host" in (LocalHost().holder(path) or "")


def test_of_many_at_once_only_one_gets_the_lock(tmp_path: Path) -> None:
    script = """
        import sys
        from datetime import UTC, datetime
        from pathlib import Path
        from stockctl.core.errors import Locked
        from stockctl.system.host import Holder
        from stockctl.system.local import LocalHost

        try:
            with LocalHost().lock(Path(sys.argv[1]), Holder("a", "b", datetime.now(UTC))):
                print("got", flush=True)
                sys.stdin.readline()
        except Locked:
            print("locked", flush=True)
    """
    argv = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "lock")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [subprocess.Popen(argv, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    said = sorted(process.stdout.readline().decode().strip() for process in running)
    for process in running:
        process.communicate(b"\n", timeout=20)
    assert said == ["got", "locked", "locked", "locked"]


# ---------------------------------------------------------------- a full disk


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    with small_disk(tmp_path / "tiny", "64k") as disk:
        yield disk


def test_a_full_disk_keeps_the_old_content_and_leaves_nothing(full_disk: Path) -> None:
    path = full_disk / "record"
    LocalHost().write(path, b"old")
    with pytest.raises(HostFailed, match="No space left"):
        LocalHost().write(path, b"x" * 200_000)
    assert path.read_bytes() == b"old"
    assert LocalHost().names(full_disk) == ["record"]


def test_a_full_disk_is_told_by_append_and_still_locks(full_disk: Path) -> None:
    (full_disk / "lock").touch()
    (full_disk / "journal").touch()
    with pytest.raises(OSError, match="No space"):
        (full_disk / "filler").write_bytes(b"x" * 200_000)
    with pytest.raises(HostFailed, match="No space left"):
        LocalHost().append(full_disk / "journal", b"x" * 10_000)
    with LocalHost().lock(full_disk / "lock", HOLDER):  # not signed, but held
        assert LocalHost().holder(full_disk / "lock") == "another stockctl"
    assert LocalHost().holder(full_disk / "lock") is None


def test_a_folder_that_is_read_only_is_told(full_disk: Path) -> None:
    make_read_only(full_disk)
    for call in (
        lambda: LocalHost().write(full_disk / "a", b""),
        lambda: LocalHost().append(full_disk / "a", b""),
        lambda: LocalHost().lock(full_disk / "a", HOLDER).__enter__(),
    ):
        with pytest.raises(HostFailed, match="Read-only"):
            call()


# -------------------------------------------------------------------- journal


def journal(folder: Path, *secrets: str) -> Journal:
    redactor = Redactor([Secret(secret) for secret in secrets])
    return Journal(LocalHost(), folder, "prod", SystemClock(), redactor)


def test_the_journal_tells_what_finished_failed_and_was_killed(tmp_path: Path) -> None:
    kept = journal(tmp_path / "state")
    assert kept.operations() == []
    with kept.operation("backup create"):
        pass
    with pytest.raises(ValueError, match="why"), kept.operation("deploy"):
        raise ValueError("why")
    killed = kept.operation("restore")  # held, so that nobody ends it
    killed.__enter__()
    found = kept.operations()
    assert [(o.started.command, o.outcome) for o in found] == [
        ("backup create", "finished"),
        ("deploy", "failed"),
        ("restore", "unfinished"),
    ]
    assert found[1].ended is not None
    assert found[1].ended.detail == "why"
    assert found[0].started.who == operator()
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600


def test_an_interrupt_is_journalled_as_a_failure(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    with pytest.raises(KeyboardInterrupt), kept.operation("deploy"):
        raise KeyboardInterrupt
    ended = kept.operations()[0].ended
    assert ended is not None
    assert (ended.outcome, ended.detail) == ("failed", "interrupted")


def test_the_journal_holds_no_secret(tmp_path: Path) -> None:
    kept = journal(tmp_path, "canary-7f3a91")
    with pytest.raises(ValueError, match="canary"), kept.operation("deploy"):
        raise ValueError("cannot use canary-7f3a91 or password=other-canary")
    text = kept.path.read_text()
    assert "canary" not in text


def test_after_a_crash_in_the_middle_of_a_line_nothing_else_is_lost(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    with kept.operation("first"):
        pass
    with kept.path.open("ab") as file:
        file.write(b'{"operation": "x", "comm')
    with kept.operation("second"):
        pass
    assert [o.started.command for o in kept.operations()] == ["first", "second"]


def test_a_journal_that_cannot_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    said: list[Event] = []
    done = False
    with replace(journal(tmp_path), report=said.append).operation("backup prune"):
        done = True  # on a full disk this is what makes room
    assert done
    texts = [event.text for event in said if isinstance(event, Message)]
    assert [text.partition(":")[0] for text in texts] == [
        "the journal misses that backup prune started",
        "the journal misses that backup prune finished",
    ]


def test_the_error_of_the_work_matters_more_than_the_journal_s(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    with pytest.raises(ValueError, match="why"), kept.operation("deploy"):
        kept.path.unlink()
        kept.path.mkdir()
        raise ValueError("why")
