"""A program of somebody else's, on this machine: what it prints is read while it runs, and not a
moment longer. A daemon that it leaves behind keeps the pipe, and nobody waiting."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.command import Command
from stockctl.core.errors import DeadlineExceeded
from stockctl.system.local import LocalHost

LAST_LINES = 60
BLOCK = 65536
LOOK_S = 0.05
# What a program needs to find its way, and nothing that anybody has put there for another reason.
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended; `exit_code` None where it was ended at its deadline."""

    exit_code: int | None
    said: str  # its last lines

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


def run_program(
    argv: tuple[str, ...],
    environment: Mapping[str, str],
    *,
    directory: Path,
    timeout_s: float,
    on_line: Callable[[str], None],
) -> Ended:
    """Runs it with these variables and the KEPT ones; at the deadline its group is ended."""
    reading, writing = os.pipe()
    heard = _Ear(reading, on_line)
    try:
        command = Command(
            _wrapped(argv, writing, os.environ.keys() - {*KEPT, *environment}),
            environment=dict(environment),
            directory=directory,
            inherits=(writing,),
        )
        heard.start()
        code: int | None
        try:
            code = LocalHost().run(command, timeout_s=timeout_s, check=False).exit_code
        except DeadlineExceeded:
            code = None
    finally:
        os.close(writing)
        heard.stop()
        os.close(reading)
    return Ended(code, "\n".join(heard.lines))


def _wrapped(argv: tuple[str, ...], descriptor: int, dropped: Iterable[str]) -> tuple[str, ...]:
    """Both outputs into our pipe, and out of its environment what is not for it: names, never
    values, are on this argv."""
    script = f'exec "$@" >/dev/fd/{descriptor} 2>&1'  # dash knows no `>&12`
    return _without(dropped, ("sh", "-c", script, "sh", *argv))


def bare(argv: tuple[str, ...], environment: Mapping[str, str], directory: Path) -> Command:
    """With these variables and no others, as cron and systemd start what they start."""
    dropped = os.environ.keys() - environment.keys()
    return Command(_without(dropped, argv), environment=dict(environment), directory=directory)


def _without(dropped: Iterable[str], argv: tuple[str, ...]) -> tuple[str, ...]:
    return ("env", *(part for name in sorted(dropped) for part in ("-u", name)), *argv)


class _Ear:
    """Reads a pipe on a thread of its own until it is told to stop."""

    def __init__(self, descriptor: int, on_line: Callable[[str], None]) -> None:
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        self._descriptor = descriptor
        self._on_line = on_line
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What was written before is heard; what somebody writes later is not."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _listen(self) -> None:
        rest = b""
        while True:
            over = self._over.is_set()
            ready, _, _ = select.select([self._descriptor], [], [], 0 if over else LOOK_S)
            piece = os.read(self._descriptor, BLOCK) if ready else b""
            *whole, rest = (rest + piece).split(b"\n")
            rest = rest[-BLOCK:]
            for line in whole:
                self._hear(line)
            if over or (ready and not piece):
                break
        if rest:
            self._hear(rest)

    def _hear(self, line: bytes) -> None:
        text = line.decode(errors="replace")
        self.lines.append(text)
        self._on_line(text)
