"""A real sshd: whom we trust, what a cut line leaves behind, what another user could see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.remotes import REPO, Sshd, children, make_key, serve_ssh, within

from stockctl.core.command import Command
from stockctl.core.errors import HostFailed, Locked, StockctlError
from stockctl.core.secret import Secret
from stockctl.system import ssh_scripts
from stockctl.system.host import Holder
from stockctl.system.local import LocalHost
from stockctl.system.ssh import SshHost
from stockctl.system.ssh_address import Address, Target

HOLDER = Holder("ada@desk", "deploy", datetime(2026, 11, 22, 3, 0, tzinfo=UTC))


@pytest.fixture
def host(sshd: Sshd) -> Iterator[SshHost]:
    with SshHost(sshd.target) as host:
        yield host


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def failure(target: Target) -> StockctlError:
    with SshHost(target) as host, pytest.raises(StockctlError) as caught:
        host.exists(Path("/"))
    return caught.value


# --------------------------------------------------------------------- trust


def test_a_machine_that_nobody_noted_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    for known_hosts in (tmp_path / "none", Path(os.devnull)):
        error = failure(replace(sshd.target, known_hosts=known_hosts))
        assert isinstance(error, HostFailed)
        assert "SHA256:" in error.message
        assert f"ssh-keyscan -p {sshd.port} 127.0.0.1" in error.hint


def test_a_host_key_that_changed_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {other}")
    error = failure(replace(sshd.target, known_hosts=tmp_path / "known_hosts"))
    assert isinstance(error, HostFailed)
    assert "is not the one in" in error.message
    assert "-R" in error.hint


def test_the_hint_for_an_unknown_machine_works(sshd: Sshd, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known hosts"
    argv = ["ssh-keyscan", "-p", str(sshd.port), "127.0.0.1"]
    done = subprocess.run(argv, check=True, capture_output=True)
    known_hosts.write_bytes(done.stdout)
    with SshHost(replace(sshd.target, known_hosts=known_hosts)) as host:
        assert host.exists(Path("/"))


def test_a_key_that_is_not_let_in_is_named(sshd: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    error = failure(replace(sshd.target, identity_file=tmp_path / "stranger"))
    assert "does not let us in" in error.message
    assert str(tmp_path / "stranger") in error.message
    assert "authorized_keys" in error.hint


def test_a_key_with_a_passphrase_is_for_the_agent(sshd: Sshd, tmp_path: Path) -> None:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret words", "-f", str(tmp_path / "key")]
    subprocess.run(argv, check=True)
    error = failure(replace(sshd.target, identity_file=tmp_path / "key"))
    assert "passphrase" in error.message
    assert "ssh-add" in error.hint


def test_nobody_at_home(sshd: Sshd) -> None:
    error = failure(replace(sshd.target, address=Address("127.0.0.1", None, 1)))
    assert isinstance(error, HostFailed)
    assert "cannot reach 127.0.0.1:1" in error.message


def test_over_a_jump_host(sshd: Sshd, tmp_path: Path) -> None:
    with serve_ssh(tmp_path / "inner") as inner:
        (inner.folder / "authorized_keys").write_text((sshd.folder / "key.pub").read_text())
        known = sshd.known_hosts.read_text() + inner.known_hosts.read_text()
        (tmp_path / "known_hosts").write_text(known)
        target = Target(inner.address, tmp_path / "known_hosts", sshd.key, jump=sshd.address)
        with SshHost(target) as host:
            said = host.run(Command(("sh", "-c", "echo $SSH_CONNECTION")), timeout_s=20).stdout
        assert said.split()[-1] == str(inner.port)
        unknown = replace(target, known_hosts=sshd.known_hosts)
        assert "is not in" in failure(unknown).message  # the inner one is checked as well


@pytest.mark.parametrize(
    "text", ["", "a@", "@b", "a b", "host:0", "host:99999", "-oProxy=x", "a@-b"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Address.parse(text)


def test_addresses() -> None:
    assert Address.parse("deploy@prod.example.com:2222") == Address(
        "prod.example.com", "deploy", 2222
    )
    assert Address.parse("prod") == Address("prod")
    assert Address.parse("[::1]:2222").known_as == "[::1]:2222"


# ------------------------------------------------------------ a line that is cut


def _start(host: SshHost, file: Path) -> tuple[int, int]:
    """A program with a child of its own, and both their numbers."""
    script = 'sh -c "echo \\$\\$ $$ >$1.new; mv $1.new $1; sleep 300"; exit'
    stream = host.stream(Command(("sh", "-c", script, "sh", str(file))))
    child = stream.__enter__()
    assert within(20, file.exists)
    inner, outer = file.read_text().split()
    child.reader = None
    return int(outer), int(inner)


def test_a_cut_line_ends_what_runs_there_and_frees_the_lock(sshd: Sshd, tmp_path: Path) -> None:
    with serve_ssh(tmp_path / "sshd") as own, SshHost(own.target) as host:
        lock = tmp_path / "lock"
        with pytest.raises(HostFailed) as caught, host.lock(lock, HOLDER):
            pids = _start(host, tmp_path / "pids")
            own.cut()
            assert within(20, lambda: not any(alive(pid) for pid in pids))
            assert within(20, lambda: LocalHost().holder(lock) is None)
            with pytest.raises(HostFailed):
                host.exists(tmp_path)  # nobody may have looked at that answer
            host.write(tmp_path / "file", b"as if nothing had happened")
        assert "cut" in caught.value.message
        assert not (tmp_path / "file").exists()
        host.write(tmp_path / "file", b"another operation, from the start")


def test_a_stream_that_is_cut_is_no_success(tmp_path: Path) -> None:
    with serve_ssh(tmp_path / "sshd") as own, SshHost(own.target) as host:
        command = Command(("sh", "-c", "echo half; exec sleep 300"))
        with pytest.raises(HostFailed, match="was cut"), host.stream(command) as child:
            assert child.stdout.readline() == b"half\n"
            own.cut()
            assert child.stdout.read() == b""  # which looks like its end
            child.check(20)


def test_input_that_is_cut_is_not_written(tmp_path: Path) -> None:
    """A write whose content did not arrive leaves what was there."""
    with serve_ssh(tmp_path / "sshd") as own, SshHost(own.target) as host:
        host.write(tmp_path / "file", b"old")
        channel = host.open()
        names = (str(tmp_path), str(tmp_path / "file"), str(tmp_path / "file.tmp"))
        channel.exec_command(ssh_scripts.call(ssh_scripts.WRITE, *names, "600", "1000"))
        channel.sendall(b"x" * 500)
        assert within(20, (tmp_path / "file.tmp").exists)
        own.cut()
        assert within(20, lambda: not (tmp_path / "file.tmp").exists())
        assert (tmp_path / "file").read_bytes() == b"old"


def test_half_a_question_is_not_answered(tmp_path: Path) -> None:
    """What a shell that waits over there has read of it when the line is cut is not run."""
    with serve_ssh(tmp_path / "sshd") as own, SshHost(own.target) as host:
        channel = host.open()
        channel.exec_command(ssh_scripts.call(ssh_scripts.STANDING))
        files = [tmp_path / name for name in ("first", "second")]
        for file in files:
            script = f"echo ran >{file}"
            question = ssh_scripts.question("0f", script, (), b"")
            channel.sendall(question if file is files[0] else question[:-3])
        assert within(20, lambda: files[0].exists())
        own.cut()
        assert within(20, lambda: not _shells_of(own))
        assert not files[1].exists()


def _shells_of(sshd: Sshd) -> list[int]:
    """What runs below its sessions."""
    sessions = [each for one in children(sshd.process.pid) for each in (one, *children(one))]
    return [each for session in sessions for each in children(session)]


def _reads(pid: int) -> bool:
    """Whether it is a shell that waits for its program; the watchdog has one of its own."""
    try:
        said = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return said in (b"sh\0", b"")  # the latter of one that is not reaped yet


def test_a_shell_that_was_killed_over_there_is_made_anew(tmp_path: Path) -> None:
    with serve_ssh(tmp_path / "sshd") as own, SshHost(own.target) as host:
        for _ in range(3):
            host.write(tmp_path / "file", b"x")
            host.write(tmp_path / "file", b"y")
            shells = [each for each in _shells_of(own) if _reads(each)]
            assert len(shells) == 1  # one for all questions
            os.kill(shells[0], signal.SIGKILL)
            assert within(20, lambda: not any(map(_reads, _shells_of(own))))
            host.run(Command(("true",)), timeout_s=20)  # what sshd said of it has come before


class _Interrupted(BaseException):
    """As Ctrl-C raises it."""


def test_the_answer_to_an_interrupted_question_is_nobodys(host: SshHost) -> None:
    def interrupt(*_: object) -> None:
        raise _Interrupted

    assert host.ask("echo first") == "first\n"
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(_Interrupted):
            host.ask("echo half; sleep 1; echo late")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert host.ask("echo next") == "next\n"


def test_an_answer_holds_whatever_a_file_holds(host: SshHost, tmp_path: Path) -> None:
    for data in (b"", b"\n", b"\n\n 0\n", bytes(range(256)) * 40, b"x" * 100_000):
        host.write(tmp_path / "file", data)
        assert host.read(tmp_path / "file") == data
        with pytest.raises(HostFailed, match="No such file"):
            host.read(tmp_path / "none")


def test_kill_9_ends_what_runs_there_and_frees_the_lock(sshd: Sshd, tmp_path: Path) -> None:
    lock, file = tmp_path / "lock", tmp_path / "pids"
    arguments = [str(sshd.port), str(sshd.folder), str(lock), str(file)]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    argv = [sys.executable, __file__, *arguments]
    with subprocess.Popen(argv, env=environment) as victim:
        assert within(30, file.exists)
        pids = [int(pid) for pid in file.read_text().split()]
        said = LocalHost().holder(lock) or ""
        assert f"ada@desk (pid {victim.pid})" in said
        with pytest.raises(Locked, match="ada@desk"), LocalHost().lock(lock, HOLDER):
            pytest.fail("two hold it")
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    assert within(20, lambda: not any(alive(pid) for pid in pids))
    assert within(20, lambda: LocalHost().holder(lock) is None)


def test_after_a_cut_line_it_connects_anew(tmp_path: Path) -> None:
    with serve_ssh(tmp_path / "sshd") as own, SshHost(own.target) as host:
        host.write(tmp_path / "file", b"x")
        own.cut()

        def answers() -> bool:
            try:
                return host.read(tmp_path / "file") == b"x"
            except HostFailed:
                return False

        assert within(20, answers)
        assert host.run(Command(("echo", "hello")), timeout_s=20).stdout == "hello\n"


# --------------------------------------------------------------------- secrets


def test_neither_environment_nor_arguments_nor_input_are_on_a_command_line(
    host: SshHost, tmp_path: Path
) -> None:
    """Of ssh, sshd, its shells: whatever `ps` shows while it runs."""
    canary = "canary-51c0de"
    command = Command(
        ("sh", "-c", "cat /proc/*/cmdline | tr '\\000' ' '; cat >/dev/null"),
        environment={"PGPASSWORD": canary},
        input=Secret(canary),
    )
    seen = host.run(command, timeout_s=20, check=False).stdout
    assert "tr" in seen
    assert canary not in seen


def test_names_are_never_read_as_code(host: SshHost, tmp_path: Path) -> None:
    for name in ("-rf", "a b", "$(touch pwned)", "'; touch pwned; '", "ä\n*", '"`id`"'):
        path = tmp_path / "folder" / name
        host.write(path, name.encode())
        assert path.read_bytes() == name.encode()
        assert host.read(path) == name.encode()
        assert host.names(path.parent) == [name]
        with host.lock(tmp_path / "locks" / name, HOLDER):
            assert "ada@desk" in (host.holder(tmp_path / "locks" / name) or "")
        done = host.run(Command(("printf", "%s", name), environment={"A": name}), timeout_s=20)
        assert done.stdout == name
        host.remove(path)
        assert not path.exists()
    assert not list(tmp_path.rglob("pwned"))


def _hold(port: str, folder: str, lock: str, file: str) -> None:
    """The one that is killed: holds a lock and has a program running."""
    target = Target(Address("127.0.0.1", None, int(port)), Path(folder) / "known_hosts")
    with (
        SshHost(replace(target, identity_file=Path(folder) / "key")) as host,
        host.lock(Path(lock), HOLDER),
    ):
        _start(host, Path(file))
        signal.pause()


if __name__ == "__main__":
    _hold(*sys.argv[1:])
