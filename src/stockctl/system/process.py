"""A child process: its own group, a deadline, an orderly end whatever happens to us."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from stockctl.core.command import Command
from stockctl.core.errors import DeadlineExceeded, HostFailed, Terminated, ToolFailed, ToolMissing
from stockctl.core.units import format_duration
from stockctl.system.watchdog import Watchdog

GRACE_S = 10.0  # between SIGTERM and SIGKILL; `docker compose` needs a few seconds to let go
DRAIN_S = 60.0  # for what a program has said and nobody has read when it ends
# Large pieces, and fewer switches between the two of us (pipe(7), "Pipe capacity").
PIPE_BYTES = 1 << 20
TAIL_LINES = 60  # of standard error, kept for the error message

_watchdog = Watchdog()


class Child:
    """A running Command. Its standard error is drained all the time, so that it never blocks."""

    def __init__(
        self,
        command: Command,
        *,
        stdin: bool = False,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.command = command
        self.reader: threading.Thread | None = None  # who reads `stdout`, if not the caller
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._on_line = on_line
        self._process = self._start(stdin or command.holds_input or command.input is not None)
        _watchdog.guard(self._process.pid)
        with suppress(OSError):  # how much of it a user may have is limited
            fcntl.fcntl(self.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._heard = 0
        self._drain = threading.Thread(target=self._drain_stderr, daemon=True)
        self._drain.start()
        if command.input is not None:
            self._give(command.input.reveal().encode(), streams=stdin)

    def _start(self, stdin: bool) -> subprocess.Popen[bytes]:
        command = self.command
        try:
            return subprocess.Popen(
                command.argv,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **command.environment},
                cwd=command.directory,
                process_group=0,
                pass_fds=command.inherits,
            )
        except FileNotFoundError as error:
            if command.directory is not None and not command.directory.is_dir():
                raise HostFailed(f"no such folder: {command.directory}") from error
            raise ToolMissing(
                f"{command.argv[0]} is not on this machine", hint="stockctl doctor ENV"
            ) from error
        except OSError as error:
            raise ToolFailed(f"{command.argv[0]} does not start: {error.strerror}") from error

    def _give(self, data: bytes, *, streams: bool) -> None:
        """Writes the input: beside us, since what is larger than a pipe waits for its reader, but
        at once where a caller streams more after it."""
        keep_open = streams or self.command.holds_input
        if streams:
            self._write_input(data, keep_open)
        else:
            threading.Thread(target=self._write_input, args=(data, keep_open), daemon=True).start()

    def _write_input(self, data: bytes, keep_open: bool) -> None:
        try:
            self.stdin.write(data)
            self.stdin.flush()
            if not keep_open:
                self.stdin.close()
        except (BrokenPipeError, ValueError):
            pass  # it ended early; its exit code and standard error tell why

    def _drain_stderr(self) -> None:
        assert self._process.stderr is not None
        with io.TextIOWrapper(self._process.stderr, errors="replace") as lines:
            for line in lines:
                self._heard += 1
                self._tail.append(line.rstrip("\n"))
                tell(self._on_line, line.rstrip("\n"))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None, "started without stdin"
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def stderr_tail(self) -> str:
        """The last lines of standard error."""
        return "\n".join(self._tail)

    def close_stdin(self) -> None:
        """End of what is streamed in. A child that left before is found by `wait`."""
        try:
            self.stdin.close()
        except BrokenPipeError:
            pass

    def wait(self, timeout_s: float | None = None) -> int:
        """Its exit code. Raises DeadlineExceeded, having ended it."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise self.overdue(timeout_s or 0) from error
        let_end(self._drain, lambda: self._heard, DRAIN_S if timeout_s is None else timeout_s)
        _watchdog.release(self.pid)
        if self._process.stdin is not None:
            self.close_stdin()
        return code

    def overdue(self, timeout_s: float) -> DeadlineExceeded:
        """Ends it, with its children; the error to raise."""
        self.end()
        return DeadlineExceeded(
            f"{self.command.argv[0]} did not end within {format_duration(timeout_s)}",
            details=f"$ {self.command}\n{self.stderr_tail}",
        )

    def check(self, timeout_s: float | None = None) -> None:
        """Wait, and raise ToolFailed unless it ended well."""
        code = self.wait(timeout_s)
        if code != 0:
            raise failure(self.command, code, self.stderr_tail)

    def end(self) -> None:
        """SIGTERM to the whole group, then SIGKILL; harmless when it is over already. A second
        signal to us shortens the wait, but leaves no child behind."""
        try:
            self._end()
        except (KeyboardInterrupt, Terminated):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            raise
        finally:
            self.close()
            _watchdog.release(self.pid)

    def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.pid, number)
            except (ProcessLookupError, PermissionError):
                break
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()

    def close(self) -> None:
        """Our ends of its pipes; not the one that a reader still waits on, since closing would
        wait with it for whoever left the group and kept the other end."""
        if self.reader is not None:
            self.reader.join(1.0)
        read = self.reader is not None and self.reader.is_alive()
        for pipe in (self._process.stdin, None if read else self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass


def tell(on_line: Callable[[str], None] | None, line: str) -> None:
    """A listener that fails must not end the reading: the program would block on a full pipe."""
    if on_line is not None:
        with suppress(Exception):
            on_line(line)


def failure(command: Command, exit_code: int, stderr: str) -> ToolFailed:
    """What to raise for a Command that ended badly. A negative code is a signal's number."""
    how = f"was ended by signal {-exit_code}" if exit_code < 0 else f"failed with exit {exit_code}"
    return ToolFailed(f"{command.argv[0]} {how}", details=f"$ {command}\n{stderr}".rstrip())


def let_end(
    reader: threading.Thread, heard: Callable[[], int], most_s: float, *, silent_s: float = GRACE_S
) -> None:
    """Waits for who reads what a program has said, once that has ended: as long as something comes,
    and `silent_s` for what does not, since a child of the program may hold its standard error."""
    until, before = time.monotonic() + min(DRAIN_S, most_s), -1
    while reader.is_alive() and before != heard() and (left := until - time.monotonic()) > 0:
        before = heard()
        reader.join(min(silent_s, left))
