"""A wire between a client and PostgreSQL that counts what the client asks, and cuts it there.

Speaks enough of the protocol (https://www.postgresql.org/docs/current/protocol-message-formats.html)
to know where a message begins: so a process can be killed before the server hears a query, while
the server works on it, and after the answer was given but not received.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import struct
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class When(StrEnum):
    """Relative to the query."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Who(StrEnum):
    """What is killed: the client (stockctl) or the process of the server that works for it."""

    CLIENT = "client"
    BACKEND = "backend"


@dataclass
class Cut:
    """At the query number `at` (from 1), or at the `nth` simple one that holds `text`."""

    at: int = 0
    when: When = When.BEFORE
    who: Who = Who.CLIENT
    text: bytes = b""
    nth: int = 1


@dataclass
class _Line:
    client: socket.socket
    server: socket.socket
    asked: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)
    started: bool = False
    backend: int = 0
    held: bool = False  # cut after the answer: the client never sees it


class Wiretap(threading.Thread):
    """Listens in `folder`, as a server would; leads to the server whose socket is in `server`."""

    def __init__(self, folder: Path, server: str, cut: Cut) -> None:
        super().__init__(daemon=True)
        self._server, self._cut = f"{server}/.s.PGSQL.5432", cut
        self.victim: Future[int] = Future()
        self._queries = self._matches = 0
        self.cut = False
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._bell, self._rope = socket.socketpair()
        self._selector.register(self._bell, selectors.EVENT_READ)

    def close(self) -> None:
        self._rope.send(b"x")
        self.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._rope.close()
        self._selector.close()

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._bell:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    line, from_client = key.data
                    with suppress(OSError, KeyError):
                        self._pass_on(line, from_client)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        line = _Line(client, server)
        self._selector.register(client, selectors.EVENT_READ, (line, True))
        self._selector.register(server, selectors.EVENT_READ, (line, False))

    def _pass_on(self, line: _Line, from_client: bool) -> None:
        try:
            data = (line.client if from_client else line.server).recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self._hang_up(line)
        elif from_client:
            line.asked += data
            self._asked(line)
        else:
            line.answered += data
            self._answered(line)

    def _hang_up(self, line: _Line) -> None:
        for end in (line.client, line.server):
            with suppress(KeyError):
                self._selector.unregister(end)
            end.close()

    def _asked(self, line: _Line) -> None:
        while message := self._message(line.asked, line.started):
            line.started = True
            if message[:1] in (b"Q", b"S"):  # a simple query; the end of an extended one
                self._queries += 1
                self._matches += bool(self._cut.text) and self._cut.text in message
                if self._here(message):
                    self._strike(line, message)
                    return
            line.server.sendall(message)

    def _here(self, message: bytes) -> bool:
        cut = self._cut
        if cut.text:
            return cut.text in message and self._matches == cut.nth
        return self._queries == cut.at

    def _strike(self, line: _Line, message: bytes) -> None:
        if self._cut.when is not When.BEFORE:
            line.server.sendall(message)
        if self._cut.when is When.AFTER:
            line.held = True
        else:
            self._kill(line)

    def _answered(self, line: _Line) -> None:
        while message := self._message(line.answered, True):
            if message[:1] == b"K":
                line.backend = struct.unpack("!i", message[5:9])[0]
            if line.held and message[:1] == b"Z":
                self._kill(line)
                return
            if not line.held:
                line.client.sendall(message)

    def _kill(self, line: _Line) -> None:
        self.cut = True
        victim = self.victim.result(timeout=20)
        os.kill(victim if self._cut.who is Who.CLIENT else line.backend, signal.SIGKILL)
        if self._cut.who is Who.CLIENT:
            self._hang_up(line)
        else:
            line.held = False

    @staticmethod
    def _message(buffer: bytearray, started: bool) -> bytes:
        """Takes one whole message out of the buffer; the first one of a client has no type."""
        head = 1 if started else 0
        if len(buffer) < head + 4:
            return b""
        size = head + int(struct.unpack("!i", buffer[head : head + 4])[0])
        if len(buffer) < size:
            return b""
        message = bytes(buffer[:size])
        del buffer[:size]
        return message
