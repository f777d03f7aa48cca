"""Run a Command to its end, on whatever machine its stream comes from."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import IO, Protocol

from stockctl.core.command import Command, Completed
from stockctl.core.errors import DeadlineExceeded
from stockctl.system.process import failure, tell

TOLD_LINES = 60  # of a build, say: its last words are among them

OnLine = Callable[[str], None]


class Running(Protocol):
    """A child that has started."""

    reader: threading.Thread | None

    @property
    def stdout(self) -> IO[bytes]: ...

    def wait(self, timeout_s: float | None = None) -> int: ...

    def overdue(self, timeout_s: float) -> DeadlineExceeded: ...


def run(
    start: Callable[[Command, OnLine], AbstractContextManager[Running]],
    command: Command,
    *,
    timeout_s: float,
    check: bool,
    on_line: OnLine | None,
) -> Completed:
    """What `Host.run` promises. `start` streams a Command and is told each line of its stderr."""
    started = time.monotonic()
    stderr: list[str] = []
    told: deque[str] = deque(maxlen=TOLD_LINES)  # of both outputs, where somebody listens

    def listen(line: str) -> None:
        told.append(line)
        if on_line is not None:
            on_line(line)

    def hear(line: str) -> None:
        stderr.append(line)
        listen(line)

    stdout: list[str] = []
    with start(command, hear) as child:
        reader = threading.Thread(target=_read_lines, args=(child, stdout, listen), daemon=True)
        child.reader = reader
        reader.start()
        code = child.wait(timeout_s)
        reader.join(max(0.0, started + timeout_s - time.monotonic()))
        if reader.is_alive():  # it left somebody behind who keeps the output open
            raise child.overdue(timeout_s)
    done = Completed(command, code, "".join(stdout), "\n".join(stderr), time.monotonic() - started)
    if check and not done.ok:
        spoken = "\n".join(told) if on_line is not None else done.stderr or done.stdout
        raise failure(command, code, spoken)
    return done


def _read_lines(child: Running, lines: list[str], on_line: OnLine) -> None:
    with child.stdout as raw_lines:
        for raw in raw_lines:
            line = raw.decode(errors="replace")
            lines.append(line)
            tell(on_line, line.rstrip("\n"))
