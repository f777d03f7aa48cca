"""A Docker engine of a test's own, which it may stop: in a network of its own, with its own data.

Two engines on one machine would take each other's firewall rules away, so that this one lives in a
network namespace. A test that uses it goes there itself (`inside`): its threads and programs go
along, and 127.0.0.1 is that of the other network.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET, sched.h
_GET_FLAGS, _SET_FLAGS = 0x8913, 0x8914  # netdevice(7)
_UP = 0x1
_OWN = "/proc/thread-self/ns/net"
WITHIN_S = 60.0
TRIES = 3  # the containerd of a dockerd that was killed may be in the way of the next one


def _enter(namespace: int) -> None:
    _must(ctypes.CDLL(None, use_errno=True).setns(namespace, _NEW_NETWORK))


def _must(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _loopback_up() -> None:
    with socket.socket() as any_socket:
        name = struct.pack("16sH", b"lo", 0).ljust(40, b"\0")
        (flags,) = struct.unpack_from("H", fcntl.ioctl(any_socket, _GET_FLAGS, name), 16)
        up = struct.pack("16sH", b"lo", flags | _UP).ljust(40, b"\0")
        fcntl.ioctl(any_socket, _SET_FLAGS, up)


class SecondEngine:
    """`dockerd` with everything it has in one folder. Needs root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._flags: tuple[str, ...] | None = None
        self.host = f"unix://{folder}/socket"
        before = os.open(_OWN, os.O_RDONLY)
        _must(ctypes.CDLL(None, use_errno=True).unshare(_NEW_NETWORK))
        try:
            self._network = os.open(_OWN, os.O_RDONLY)
            _loopback_up()
        finally:
            _enter(before)
            os.close(before)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and what it starts, is in the engine's network."""
        before = os.open(_OWN, os.O_RDONLY)
        _enter(self._network)
        try:
            yield
        finally:
            _enter(before)
            os.close(before)

    def run(self, *flags: str) -> None:
        """With these flags, which may mean that it has to be started again."""
        if self._process is None or flags != self._flags:
            self.stop()
            self.start(*flags)

    def start(self, *flags: str) -> None:
        """Until it answers."""
        self._flags = flags
        paths = (
            f"--data-root={self._folder}/data", f"--exec-root={self._folder}/run",
            f"--pidfile={self._folder}/pid", f"--host={self.host}",
        )  # fmt: skip
        for _ in range(TRIES):
            with self.inside(), (self._folder / "log").open("ab") as log:
                argv = ["dockerd", *paths, *flags]
                self._process = subprocess.Popen(
                    argv, stdout=log, stderr=log, start_new_session=True
                )
            if self._answers(self._process):
                return
        raise AssertionError((self._folder / "log").read_text()[-4000:])

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        """False where it has ended instead."""
        deadline = time.monotonic() + WITHIN_S
        while subprocess.run(
            ["docker", "-H", self.host, "version"], capture_output=True
        ).returncode:
            if process.poll() is not None:
                return False
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.1)
        return True

    def stop(self) -> None:
        """In an orderly way, until its process has ended."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(WITHIN_S)
            self._process = None

    def kill(self) -> None:
        """Its process alone: containers may live on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(WITHIN_S)
            self._process = None

    def power_off(self) -> None:
        """As where the machine loses its power: everything ends at once, nothing stays mounted."""
        docker = ["docker", "-H", self.host]
        ids = subprocess.run([*docker, "ps", "-q"], capture_output=True, text=True).stdout.split()
        inspect = [*docker, "inspect", "-f", "{{.State.Pid}}", *ids]
        inner = subprocess.run(inspect, capture_output=True, text=True).stdout.split()
        self.kill()
        for pid in (*self._programs(), *(int(each) for each in inner if each != "0")):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        ours = [each for each in mounts if each.startswith(f"{self._folder}/")]
        for mount in reversed(ours):
            subprocess.run(["umount", "--lazy", mount], check=True)
        shutil.rmtree(self._folder / "run", ignore_errors=True)

    def _programs(self) -> Iterator[int]:
        """containerd and its shims: whoever was started with a path in the folder."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                first, _, rest = (folder / "cmdline").read_bytes().partition(b"\0")
                ours = f"{self._folder}/run".encode() in rest
                if ours and Path(first.decode()).name.startswith("containerd"):
                    yield int(folder.name)

    def load(self, *images: str) -> None:
        """Gives it images of the other engine."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            loaded = ["docker", "-H", self.host, "load"]
            subprocess.run(loaded, stdin=saved.stdout, capture_output=True, check=True)

    def close(self) -> None:
        """Nothing of it is left but files."""
        self.stop()
        self.power_off()
        os.close(self._network)
