"""Real servers for the tests, each on a free port of 127.0.0.1: OpenSSH's, one that speaks S3."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from stockctl.backup.stores.s3_client import S3Options, connect
from stockctl.core.secret import Secret
from stockctl.system.ssh_address import Address, Target
from tests.ports import free_port
from tests.servers import kept

REPO = Path(__file__).parents[1]
SSHD_CONFIG = """\
Port {port}
ListenAddress {host}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding yes
Subsystem sftp internal-sftp
LogLevel VERBOSE
SetEnv HOME={folder}{more}
"""
# bash reads it for each command that sshd starts; many a person's says something.
BASHRC = "echo Welcome to this machine; printf 'no newline'\n"


def missing(what: str, script: str) -> None:
    """Ends a test that cannot run here; in CI that is a failure."""
    said = f"there is no {what} here: tests/testbed/{script} installs it"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Polls until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def answers(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Sshd:
    """A running sshd that lets in whoever runs the tests."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    host: str = "127.0.0.1"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def address(self) -> Address:
        return Address(self.host, None, self.port)

    @property
    def target(self) -> Target:
        return Target(self.address, self.known_hosts, self.key)

    def said(self, text: str) -> int:
        """How often its log holds this: `Accepted publickey` of a connection, `Starting session`
        of a program or a shell in one."""
        return (self.folder / "log").read_text(errors="replace").count(text)

    def cut(self) -> None:
        """Every line that is open: its end, as of a network that is gone, is closed at once."""
        for pid in children(self.process.pid):
            os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def make_key(file: Path) -> str:
    """An ed25519 key without a passphrase; its public half."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(file)]
    subprocess.run(argv, check=True)
    return file.with_suffix(".pub").read_text()


@contextmanager
def serve_ssh(
    folder: Path, *, host: str = "127.0.0.1", inside: Sequence[str] = (), clock: str = ""
) -> Iterator[Sshd]:
    """In a folder of its own. `inside`: what runs it on a machine of its own; `clock`: by how much
    the programs that it starts have another time, like `-3d`."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or shutil.which("ssh-keygen") is None:
        missing("sshd", "sshd.sh")
        raise AssertionError
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it insists, as root
    kept(folder).mkdir(parents=True, exist_ok=True)
    port = free_port()
    host_key = make_key(folder / "host_key")
    (folder / "authorized_keys").write_text(make_key(folder / "key"))
    (folder / "known_hosts").write_text(f"[{host}]:{port} {host_key}")
    (folder / ".bashrc").write_text(BASHRC)
    (folder / "config").write_text(
        SSHD_CONFIG.format(port=port, folder=folder, host=host, more=_clock(clock))
    )
    with (folder / "log").open("wb") as log:
        argv = [*inside, program, "-D", "-e", "-f", str(folder / "config")]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    (folder / "pid").write_text(str(process.pid))
    try:
        said = folder / "log"
        assert within(20, lambda: "Server listening" in said.read_text()), said.read_text()
        yield Sshd(port, folder, process, host)
    finally:
        process.terminate()
        process.wait()


def _clock(ahead: str) -> str:
    """What makes the dynamic linker give programs another time (faketime(1))."""
    if not ahead:
        return ""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        missing("libfaketime", "faketime.sh")
    return f" LD_PRELOAD={found[0]} FAKETIME={ahead}"


Way = SimpleQueue[tuple[float, bytes]]  # bytes, and when they are there


class Wire:
    """A way to a port that takes its time, and that somebody can cut, as a network
    does that drops packets: nothing comes through any more, and nobody is told. Nothing is closed
    or refused. It counts the ways there and back: how often who connected spoke after they had
    heard something."""

    def __init__(self, to: int, delay_s: float, host: str) -> None:
        self._host, self._to, self._cut, self._ends = host, to, threading.Event(), []
        self._delay_s, self._heard = delay_s, True
        self.ways = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._let_in, daemon=True).start()

    def cut(self) -> None:
        self._cut.set()

    def close(self) -> None:
        self._cut.set()
        for each in (self._door, *self._ends):
            with suppress(OSError):  # whoever waits in it is woken
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _let_in(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                near, _ = self._door.accept()
                self._ends.append(near)
                if not self._cut.is_set():
                    self._join(near)

    def _join(self, near: socket.socket) -> None:
        far = socket.create_connection((self._host, self._to))
        self._ends.append(far)
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for one, other, there in ((near, far, True), (far, near, False)):
            under_way = SimpleQueue[tuple[float, bytes]]()
            for act, end in ((self._take, one), (self._hand_over, other)):
                threading.Thread(target=act, args=(end, under_way, there), daemon=True).start()

    def _take(self, end: socket.socket, under_way: Way, there: bool) -> None:
        data = b"any"
        while data:
            try:
                data = end.recv(1 << 16)
            except OSError:
                data = b""
            if there and data and self._heard:
                self._heard = False
                self.ways += 1
            if self._cut.is_set():
                data = b""
            under_way.put((time.monotonic() + self._delay_s, data))

    def _hand_over(self, end: socket.socket, under_way: Way, there: bool) -> None:
        with suppress(OSError):
            while True:
                due, data = under_way.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if self._cut.is_set():
                    return
                if not data:
                    end.shutdown(socket.SHUT_WR)
                    return
                self._heard = self._heard or not there
                end.sendall(data)


@contextmanager
def wire(to: int, delay_s: float = 0.0, *, host: str = "127.0.0.1") -> Iterator[Wire]:
    """`delay_s`: for each of the two ways."""
    made = Wire(to, delay_s, host)
    try:
        yield made
    finally:
        made.close()


_STARTED: list[subprocess.Popen[bytes]] = []  # kept: one that is collected while it runs warns
ACCESS_KEY, SECRET_KEY = "stockctl-test", "canary-s3-4f1d9a7c22"


@dataclass(frozen=True)
class S3Server:
    """A running SeaweedFS."""

    port: int
    folder: Path
    pid: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def weed() -> Path:
    state = Path(os.environ.get("STOCKCTL_TESTBED_STATE") or REPO / ".testbed")
    found = sorted(state.glob("seaweedfs-*/weed"))
    if not found:
        missing("SeaweedFS", "seaweedfs.sh")
    return found[-1]


def start_s3(folder: Path) -> S3Server:
    """In a folder of its own, which may be a small file system. It outlives us: see `stop_s3`."""
    program = weed()
    kept(folder).mkdir(parents=True, exist_ok=True)
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "tests", "credentials": credentials, "actions": actions}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir(exist_ok=True)
    ports = {name: free_port() for name in ("s3", "master", "volume", "filer")}
    grpc = {f"{name}.port.grpc": free_port() for name in ports}
    argv = [
        *(str(program), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}/data"),
        *("-s3", f"-s3.config={folder}/s3.json", "-volume.max=50", "-master.volumeSizeLimitMB=64"),
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}={port}" for name, port in grpc.items()),
        # These listen on fixed ports otherwise, which another run may have.
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | {"WEED_S3_SSE_KEK": secrets.token_hex(32)},  # it encrypts when asked
        )
    server = S3Server(ports["s3"], folder, process.pid)
    (folder / "pid").write_text(str(process.pid))
    make_bucket(server, "backups")
    (folder / "port").write_text(str(server.port))
    _STARTED.append(process)
    return server


def running_s3(folder: Path) -> S3Server:
    """The one server of a run: who needs it first starts it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "port").exists():
            return start_s3(folder)
        pid = int((folder / "pid").read_text())
        return S3Server(int((folder / "port").read_text()), folder, pid)


def stop_s3(folder: Path) -> None:
    """At once: nobody needs its data any more."""
    with suppress(FileNotFoundError, ProcessLookupError):
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        for process in [each for each in _STARTED if each.pid == pid]:
            process.wait()


@contextmanager
def serve_s3(folder: Path) -> Iterator[S3Server]:
    """One that a test may break: full, hanging, gone."""
    try:
        yield start_s3(folder)
    finally:
        stop_s3(folder)


def make_bucket(server: S3Server, bucket: str) -> None:
    """It answers before it can do anything."""
    client = s3_client(server.endpoint)

    def made() -> bool:
        try:
            client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key="any", Body=b"x")
            client.delete_object(Bucket=bucket, Key="any")
        except client.exceptions.BucketAlreadyOwnedByYou:
            return True
        except (client.exceptions.ClientError, BotoCoreError):
            return False
        return True

    assert within(60, made), (server.folder / "log").read_text()[-3000:]
    client.close()


def s3_client(endpoint: str) -> Any:
    """For a test that looks, or does, what our store would not."""
    return connect(s3_options(endpoint, "any"))


def s3_options(endpoint: str, bucket: str, prefix: str = "", **more: Any) -> S3Options:
    values = {
        "AWS_ACCESS_KEY_ID": Secret(ACCESS_KEY),
        "AWS_SECRET_ACCESS_KEY": Secret(SECRET_KEY),
    }
    return S3Options(bucket, prefix, endpoint, values=values, **more)
