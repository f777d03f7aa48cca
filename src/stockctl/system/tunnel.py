"""Ports and sockets of another machine, as ones of this machine: each connection is a channel of
the SSH connection that is there anyway. A daemon thread for each direction; nothing to install."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stockctl.system.ssh_line import end_input

if TYPE_CHECKING:
    from paramiko import Channel

BLOCK = 65536
BACKLOG = 16

Opens = Callable[[], "Channel"]


class Tunnel:
    """Listens here; `opens` makes the other end for each that connects."""

    def __init__(self, listener: socket.socket, opens: Opens) -> None:
        self._listener = listener
        self._opens = opens
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def port(cls, opens: Opens) -> tuple[Tunnel, int]:
        """On a free port of the loopback address."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
        return cls(listener, opens), int(listener.getsockname()[1])

    @classmethod
    def unix(cls, path: Path, opens: Opens) -> Tunnel:
        """At a socket file; the folder decides who may connect."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(BACKLOG)
        return cls(listener, opens)

    def close(self) -> None:
        """No new connections. Those that are open end with the line."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        """Whoever connected sees what they would see of a server that is not there: the end."""
        with near:
            try:
                far = self._opens()
            except Exception:
                return
            back = threading.Thread(target=_bring_back, args=(far, near), daemon=True)
            back.start()
            _pump(near.recv, far.sendall)
            with suppress(OSError, EOFError):
                end_input(far)
            back.join()
            far.close()


def _bring_back(far: Channel, near: socket.socket) -> None:
    """Whoever waits for an answer hears at once that none will come."""
    _pump(far.recv, near.sendall)
    with suppress(OSError):
        near.shutdown(socket.SHUT_RDWR)


def _pump(receive: Callable[[int], bytes], send: Callable[[bytes], object]) -> None:
    with suppress(OSError, EOFError):
        while piece := receive(BLOCK):
            send(piece)


class Tunnels:
    """Those of one machine, made when first asked for."""

    def __init__(self, to_port: Callable[[str, int], Channel], to_engine: Opens) -> None:
        self._to_port = to_port
        self._to_engine = to_engine
        self._ports: dict[tuple[str, int], int] = {}
        self._open: list[Tunnel] = []
        self._folder: Path | None = None
        self._mutex = threading.Lock()

    def port(self, host: str, port: int) -> int:
        """Here, of one that is reached from there."""
        with self._mutex:
            if (host, port) not in self._ports:
                tunnel, number = Tunnel.port(lambda: self._to_port(host, port))
                self._open.append(tunnel)
                self._ports[host, port] = number
            return self._ports[host, port]

    def engine(self) -> str:
        """What DOCKER_HOST is for the engine there: a socket that only we can reach."""
        with self._mutex:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="stockctl-"))  # 0700
                tunnel = Tunnel.unix(self._folder / "docker.sock", self._to_engine)
                self._open.append(tunnel)
            return f"unix://{self._folder / 'docker.sock'}"

    def close(self) -> None:
        with self._mutex:
            while self._open:
                self._open.pop().close()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
            self._ports.clear()
