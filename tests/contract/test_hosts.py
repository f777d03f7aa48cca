"""What every Host does. A new kind of host joins by adding its factory."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stockctl.core.command import Command
from stockctl.core.errors import (
    DeadlineExceeded,
    HostFailed,
    Locked,
    StockctlError,
    ToolFailed,
    ToolMissing,
)
from stockctl.core.secret import Secret
from stockctl.system.host import Holder, Host
from stockctl.system.local import LocalHost
from stockctl.system.ssh import SshHost

KINDS = ("local", "ssh")
SINCE = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
HOLDER = Holder("ada@host", "backup create", SINCE)
LIMIT_S = 30.0


@pytest.fixture(scope="module")
def over_ssh(request: pytest.FixtureRequest) -> Iterator[Host]:
    with SshHost(request.getfixturevalue("sshd").target) as host:
        yield host


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest) -> Host:
    if request.param == "local":
        return LocalHost()
    found: Host = request.getfixturevalue("over_ssh")
    return found


def sh(script: str, *arguments: str) -> Command:
    return Command(("sh", "-c", script, "sh", *arguments))


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Polls until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    """Zombies are not: nobody may be there to reap them."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def pid_in(file: Path) -> int:
    assert within(10, lambda: file.exists() and file.read_text().strip() != "")
    return int(file.read_text())


# ------------------------------------------------------------------------ run


def test_run_returns_both_outputs_and_the_code(host: Host) -> None:
    done = host.run(sh("echo out; echo err >&2"), timeout_s=LIMIT_S)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "out\n", "err")
    assert done.ok
    assert done.duration_s >= 0


def test_a_failure_says_code_command_and_what_it_printed(host: Host) -> None:
    with pytest.raises(ToolFailed) as caught:
        host.run(sh("echo why >&2; exit 3"), timeout_s=LIMIT_S)
    assert str(caught.value) == "sh failed with exit 3"
    assert "why" in caught.value.details
    assert "$ sh -c" in caught.value.details


def test_a_failure_without_words_on_stderr_shows_stdout(host: Host) -> None:
    with pytest.raises(ToolFailed) as caught:
        host.run(sh("echo why; exit 3"), timeout_s=LIMIT_S)
    assert "why" in caught.value.details


def test_a_signal_is_named_in_the_error(host: Host) -> None:
    with pytest.raises(ToolFailed, match="ended by signal 9"):
        host.run(sh("kill -9 $$"), timeout_s=LIMIT_S)


def test_without_check_a_failure_is_a_value(host: Host) -> None:
    done = host.run(sh("exit 3"), timeout_s=LIMIT_S, check=False)
    assert (done.ok, done.exit_code) == (False, 3)


def test_a_missing_program_is_named(host: Host) -> None:
    with pytest.raises(ToolMissing, match="no-such-program") as caught:
        host.run(Command(("no-such-program",)), timeout_s=LIMIT_S)
    assert "doctor" in caught.value.hint


def test_a_missing_folder_is_not_taken_for_a_missing_program(host: Host, tmp_path: Path) -> None:
    command = Command(("true",), directory=tmp_path / "gone")
    with pytest.raises(HostFailed, match="gone"):
        host.run(command, timeout_s=LIMIT_S)


def test_a_program_that_may_not_be_run_is_a_tool_failure(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "tool"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o600)
    with pytest.raises(ToolFailed, match="does not start"):
        host.run(Command((str(file),)), timeout_s=LIMIT_S)


def test_it_runs_in_its_folder_with_its_environment(host: Host, tmp_path: Path) -> None:
    command = Command(
        ("sh", "-c", 'pwd; echo "$GREETING"'),
        directory=tmp_path,
        environment={"GREETING": "hello"},
    )
    done = host.run(command, timeout_s=LIMIT_S)
    assert done.stdout.splitlines() == [str(tmp_path), "hello"]


def test_large_outputs_on_both_sides_do_not_block(host: Host) -> None:
    lines = f"yes {'fedcba' * 30} | head -c 3000000"  # their bytes count, not their number
    script = f"{lines}; {lines} >&2"
    done = host.run(sh(f"({script}) & {script}; wait"), timeout_s=LIMIT_S)
    assert len(done.stdout) == 6_000_000
    assert len(done.stderr) > 5_900_000


def test_input_larger_than_any_pipe_comes_back(host: Host) -> None:
    text = "x" * 1_000_000
    command = Command(("cat",), input=Secret(text))
    assert host.run(command, timeout_s=LIMIT_S).stdout == text


def test_input_that_nobody_reads_is_no_error(host: Host) -> None:
    command = Command(("true",), input=Secret("x" * 1_000_000))
    assert host.run(command, timeout_s=LIMIT_S).ok


def test_input_that_nobody_reads_does_not_outlast_the_deadline(host: Host) -> None:
    command = Command(("sleep", "300"), input=Secret("x" * 1_000_000))
    with pytest.raises(DeadlineExceeded):
        host.run(command, timeout_s=0.3)


def test_without_input_standard_input_is_empty(host: Host) -> None:
    assert host.run(Command(("cat",)), timeout_s=LIMIT_S).stdout == ""


def test_held_input_stays_open_until_the_program_ends(host: Host) -> None:
    command = Command(
        ("sh", "-c", "read first; echo $first; timeout 0.2 cat; echo $?"),
        input=Secret("hello\n"),
        holds_input=True,
    )
    assert host.run(command, timeout_s=LIMIT_S).stdout == "hello\n124\n"


def test_input_is_not_on_argv(host: Host) -> None:
    canary = "canary-7f3a91"
    command = Command(("sh", "-c", "cat >/dev/null; cat /proc/*/cmdline"), input=Secret(canary))
    assert canary not in host.run(command, timeout_s=LIMIT_S, check=False).stdout
    assert canary not in str(command)
    assert canary not in repr(command)


def test_lines_are_heard_while_it_runs(host: Host, tmp_path: Path) -> None:
    heard: list[str] = []
    go = tmp_path / "go"

    def hear(line: str) -> None:
        heard.append(line)
        if {"one", "two"} <= set(heard):
            go.touch()

    script = 'echo one; echo two >&2; until [ -e "$1" ]; do sleep 0.02; done; echo three'
    host.run(sh(script, str(go)), timeout_s=LIMIT_S, on_line=hear)
    assert sorted(heard) == ["one", "three", "two"]


def test_a_listener_that_fails_does_not_block_the_program(host: Host) -> None:
    def hear(_line: str) -> None:
        raise BrokenPipeError

    script = f"for to in 1 2; do yes {'x' * 99} | head -c 1000000 >&$to; done"
    assert host.run(sh(script), timeout_s=LIMIT_S, on_line=hear).ok


def test_bytes_that_are_no_text_are_replaced(host: Host) -> None:
    done = host.run(sh(r"printf '\377a'; printf '\377b' >&2"), timeout_s=LIMIT_S)
    assert (done.stdout, done.stderr) == ("\ufffda", "\ufffdb")


# ------------------------------------------------------------------- deadlines


def test_a_deadline_ends_the_whole_group(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    script = 'sh -c "sleep 300 & echo \\$! > $1; wait"; sleep 300'
    with pytest.raises(DeadlineExceeded) as caught:
        host.run(sh(script, str(file)), timeout_s=0.5)
    assert "did not end within" in str(caught.value)
    grandchild = pid_in(file)
    assert within(5, lambda: not alive(grandchild))


def test_a_deadline_ends_what_ignores_sigterm(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    script = 'trap "" TERM; sh -c "trap \\"\\" TERM; echo \\$\\$ > $1; sleep 300" & exec sleep 0.4'
    with suppress(StockctlError):
        host.run(sh(script, str(file)), timeout_s=0.3)
    grandchild = pid_in(file)
    assert within(5, lambda: not alive(grandchild))


def test_a_grandchild_that_keeps_the_output_open_does_not_outlast_the_deadline(
    host: Host, tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        host.run(sh('sleep 300 & echo $! > "$1"', str(file)), timeout_s=0.5)
    assert time.monotonic() - started < 15
    grandchild = pid_in(file)
    assert within(5, lambda: not alive(grandchild))


def test_what_left_the_group_does_not_hold_us(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    started = time.monotonic()
    script = 'setsid sh -c "echo \\$\\$ > $1; exec sleep 60" & sleep 300'
    try:
        with pytest.raises(DeadlineExceeded):
            host.run(sh(script, str(file)), timeout_s=0.5)
        assert time.monotonic() - started < 30
    finally:
        os.kill(pid_in(file), signal.SIGKILL)


# --------------------------------------------------------------------- stream


def test_a_stream_carries_bytes_both_ways(host: Host) -> None:
    data = os.urandom(2_000_000)
    with host.stream(Command(("cat",)), stdin=True) as child:

        def feed() -> None:
            child.stdin.write(data)
            child.close_stdin()

        writer = threading.Thread(target=feed)
        writer.start()
        got = child.stdout.read()
        writer.join()
        child.check(LIMIT_S)
    assert got == data


def test_the_input_comes_before_what_is_streamed(host: Host) -> None:
    command = Command(("cat",), input=Secret("first "))
    with host.stream(command, stdin=True) as child:
        child.stdin.write(b"second")
        child.close_stdin()
        assert child.stdout.read() == b"first second"
        child.check(LIMIT_S)


def test_a_stream_that_ends_badly_says_why(host: Host) -> None:
    with pytest.raises(ToolFailed) as caught, host.stream(sh("echo why >&2; exit 4")) as child:
        assert child.stdout.read() == b""
        child.check(LIMIT_S)
    assert "why" in caught.value.details


def test_only_the_last_lines_of_stderr_are_kept(host: Host) -> None:
    script = "seq 100000 >&2; exit 1"
    with pytest.raises(ToolFailed) as caught, host.stream(sh(script)) as child:
        child.check(LIMIT_S)
    assert "100000" in caught.value.details
    assert len(caught.value.details.splitlines()) < 100


def test_a_stream_has_a_deadline(host: Host) -> None:
    with pytest.raises(DeadlineExceeded), host.stream(Command(("sleep", "300"))) as child:
        child.check(0.2)


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_leaving_a_stream_early_ends_the_program(
    host: Host, tmp_path: Path, failure: type[BaseException]
) -> None:
    file = tmp_path / "pid"
    with pytest.raises(failure), host.stream(sh('echo $$ > "$1"; sleep 300', str(file))):
        pid = pid_in(file)
        raise failure
    assert not alive(pid)


def test_a_reader_that_left_is_found_by_check(host: Host) -> None:
    with pytest.raises(ToolFailed, match="exit 5"), host.stream(sh("exit 5"), stdin=True) as child:
        with suppress(BrokenPipeError):
            for _ in range(100):
                child.stdin.write(b"x" * 100_000)
        child.close_stdin()
        child.check(LIMIT_S)


# ---------------------------------------------------------------------- files


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_read(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    host.write(path, b"one")
    assert host.read(path) == b"one"
    host.write(path, b"two")
    assert host.read(path) == b"two"
    assert host.names(path.parent) == ["file"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_file_has_exactly_its_mode(host: Host, tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        host.write(tmp_path / "file", b"x", mode)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "file") == mode


def test_writing_again_narrows_the_mode(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o666)
    host.write(path, b"new")
    assert mode_of(path) == 0o600


def test_new_folders_are_private(host: Host, tmp_path: Path) -> None:
    host.write(tmp_path / "private" / "file", b"")
    assert mode_of(tmp_path / "private") == 0o700


def test_a_write_that_fails_keeps_the_old_content_and_leaves_nothing(
    host: Host, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(HostFailed, match="cannot write"):
        host.write(target, b"x")  # a folder stands in the way of the rename
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["target"]


def test_what_cannot_be_read_is_named(host: Host, tmp_path: Path) -> None:
    with pytest.raises(HostFailed, match=r"cannot read .*gone"):
        host.read(tmp_path / "gone")


def test_append_adds_lines_in_a_private_file(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "journal"
    host.append(path, b"one\n")
    host.append(path, b"two\n")
    assert host.read(path) == b"one\ntwo\n"
    assert mode_of(path) == 0o600


def test_append_after_a_line_cut_by_a_crash_begins_a_new_one(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"one\ntw")
    host.append(path, b"three\n")
    assert host.read(path).splitlines() == [b"one", b"tw", b"three"]


def test_appends_from_many_sides_do_not_tear(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    lines = [f"{i} {'x' * 500}\n".encode() for i in range(60)]

    def add(some: list[bytes]) -> None:
        for line in some:
            host.append(path, line)

    threads = [threading.Thread(target=add, args=(lines[i::3],)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(host.read(path).splitlines(keepends=True)) == sorted(lines)


def test_names_are_sorted_and_empty_where_there_is_no_folder(host: Host, tmp_path: Path) -> None:
    for name in ("b", "a", ".c"):
        host.write(tmp_path / name, b"")
    assert host.names(tmp_path) == [".c", "a", "b"]
    assert host.names(tmp_path / "gone") == []
    assert host.names(tmp_path / "a") == []


def test_of_many_files_those_that_are_there_are_found(host: Host, tmp_path: Path) -> None:
    every_byte = bytes(range(256)) * 300
    wanted = {tmp_path / f"{n}": b"%d" % n for n in range(150)}
    wanted |= {tmp_path / "bytes": every_byte, tmp_path / "empty": b"", tmp_path / "a b'c": b":1\n"}
    for path, data in wanted.items():
        path.write_bytes(data)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    absent = (tmp_path / "gone" / "file", tmp_path / "1" / "below a file", tmp_path / "dangling")
    assert host.found(*absent, *wanted) == wanted
    assert host.found() == {}
    with pytest.raises(HostFailed, match="read"):
        host.found(tmp_path / "1", tmp_path)  # a folder has no content


def test_a_file_of_each_folder_is_found(host: Host, tmp_path: Path) -> None:
    every_byte = bytes(range(256)) * 300
    wanted = {"r1": every_byte, "r2": b"", "a b'c\n:*": b":1\n", "-n": b"x"}
    for name, data in wanted.items():
        host.write(tmp_path / name / "file", data)
    host.write(tmp_path / ".hidden" / "file", b"")
    (tmp_path / "bare").mkdir()
    (tmp_path / "file").write_bytes(b"no folder")
    found = host.found_below(tmp_path, "file")
    assert found == wanted
    assert list(found) == sorted(wanted)
    assert host.found_below(tmp_path / "gone", "file") == {}
    assert host.found_below(tmp_path / "file", "file") == {}
    (tmp_path / "r3" / "file").mkdir(parents=True)
    with pytest.raises(HostFailed, match="read"):
        host.found_below(tmp_path, "file")  # a folder has no content


def test_a_rename_takes_the_place_of_what_is_there(host: Host, tmp_path: Path) -> None:
    host.write(tmp_path / "new", b"new")
    host.write(tmp_path / "file", b"old")
    host.rename(tmp_path / "new", tmp_path / "file")
    assert host.names(tmp_path) == ["file"]
    assert host.read(tmp_path / "file") == b"new"
    with pytest.raises(HostFailed, match="rename"):
        host.rename(tmp_path / "gone", tmp_path / "file")
    assert host.read(tmp_path / "file") == b"new"


def test_a_question_is_answered(host: Host) -> None:
    assert host.ask('printf "%s|" "$@"', "a b", "$(id)", "'") == "a b|$(id)|'|"
    with pytest.raises(ToolFailed):
        host.ask("echo no such luck >&2; exit 3")
    assert host.ask("cd / && umask 0 && A=1 && pwd") == "/\n"
    assert host.ask('echo "$A"') == "\n"  # nothing is left of the one before


def test_remove_takes_files_folders_and_nothing(host: Host, tmp_path: Path) -> None:
    host.write(tmp_path / "folder" / "file", b"")
    host.remove(tmp_path / "folder")
    host.remove(tmp_path / "folder")
    assert not host.exists(tmp_path / "folder")
    for name in ("a", "b"):
        host.write(tmp_path / name / "file", b"")
    host.remove(tmp_path / "a" / "file", tmp_path / "gone", tmp_path / "a", tmp_path / "b")
    assert host.names(tmp_path) == []


def test_remove_takes_a_link_and_not_what_it_points_at(host: Host, tmp_path: Path) -> None:
    host.write(tmp_path / "folder" / "file", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    host.remove(tmp_path / "link")
    assert host.read(tmp_path / "folder" / "file") == b"x"
    assert not host.exists(tmp_path / "link")


def test_every_file_call_fails_in_our_own_words(host: Host, tmp_path: Path) -> None:
    impossible = tmp_path / ("x" * 300)  # no file system takes such a name
    calls: list[Callable[[], object]] = [
        lambda: host.read(impossible),
        lambda: host.write(impossible, b""),
        lambda: host.append(impossible, b""),
        lambda: host.exists(impossible),
        lambda: host.found(impossible),
        lambda: host.found_below(impossible, "file"),
        lambda: host.names(impossible),
        lambda: host.rename(impossible, tmp_path / "file"),
        lambda: host.remove(impossible),
        lambda: host.holder(impossible),
        lambda: host.lock(impossible, HOLDER).__enter__(),
    ]
    for call in calls:
        with pytest.raises(HostFailed):
            call()


# ---------------------------------------------------------------------- locks


def test_a_held_lock_says_who_doing_what_since_when(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "state" / "lock"
    with host.lock(path, HOLDER):
        with pytest.raises(Locked) as caught, host.lock(path, HOLDER):
            pytest.fail("two hold it")
        assert "ada@host" in str(caught.value)
        assert "backup create" in str(caught.value)
        assert "2026-11-22T03:00:00Z" in str(caught.value)
        assert caught.value.retry_after_s is not None


def test_holder_tells_while_it_is_held_and_not_after(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert host.holder(path) is None
    with host.lock(path, HOLDER):
        said = host.holder(path) or ""
        assert "ada@host" in said
        assert "backup create" in said
    assert host.holder(path) is None


def test_a_lock_is_free_after_a_block_that_failed(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(ValueError, match="no"), host.lock(path, HOLDER):
        raise ValueError("no")
    assert host.holder(path) is None
    with host.lock(path, HOLDER):
        pass


def test_an_error_of_the_file_system_inside_the_block_stays_what_it_is(
    host: Host, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError), host.lock(tmp_path / "lock", HOLDER):
        (tmp_path / "gone").read_bytes()


def test_asking_who_holds_it_does_not_get_in_the_way(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            host.holder(path)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for _ in range(50):
            with host.lock(path, HOLDER):
                pass
    finally:
        stop.set()
        asker.join()


def test_a_program_that_was_started_does_not_inherit_the_lock(host: Host, tmp_path: Path) -> None:
    path, file = tmp_path / "lock", tmp_path / "pid"
    with host.stream(sh('echo $$ > "$1"; sleep 300', str(file))) as child:
        with host.lock(path, HOLDER), host.stream(Command(("sleep", "300"))) as inner:
            assert inner.stdout is not None
            raise_after = RuntimeError("leave")
            with suppress(RuntimeError), host.stream(Command(("sleep", "300"))):
                raise raise_after
            with host.lock(tmp_path / "other", HOLDER):
                pass
            with suppress(DeadlineExceeded):
                inner.check(0.1)
        assert pid_in(file)
        assert host.holder(path) is None
        with suppress(DeadlineExceeded):
            child.check(0.1)


# ---------------------------------------------------------------------- reach


def test_a_port_of_that_machine_is_reached_from_here(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = host.reach("127.0.0.1", server.getsockname()[1])
        assert host.reach("127.0.0.1", server.getsockname()[1]) == address  # made once
        with socket.create_connection(address, LIMIT_S) as near:
            far, _ = server.accept()
            with far:
                near.sendall(b"question")
                assert far.recv(100) == b"question"
                far.sendall(b"answer")
                far.shutdown(socket.SHUT_RDWR)
            near.settimeout(LIMIT_S)
            assert near.recv(100) == b"answer"
            assert near.recv(100) == b""  # the end over there is the end here


def test_nobody_at_a_port_is_an_end_and_not_a_wait(host: Host) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    address = host.reach("127.0.0.1", port)
    with suppress(ConnectionError), socket.create_connection(address, LIMIT_S) as near:
        near.settimeout(LIMIT_S)
        assert near.recv(100) == b""
