"""A program on another machine: its own group, a deadline, an orderly end whatever happens.

What is to be run goes over standard input and never into an argument list, which every user of
that machine can read. The program starts only once the watchdog there knows its group.
"""

from __future__ import annotations

import io
import secrets
import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Protocol

from stockctl.core.command import Command
from stockctl.core.errors import DeadlineExceeded, HostFailed, Terminated, ToolFailed, ToolMissing
from stockctl.core.units import format_duration
from stockctl.system import ssh_scripts
from stockctl.system.process import DRAIN_S, GRACE_S, TAIL_LINES, failure, let_end, tell
from stockctl.system.ssh_line import answering
from stockctl.system.ssh_streams import RemoteInput, RemoteOutput

if TYPE_CHECKING:
    from paramiko import Channel

BLOCK = 1 << 20
_NOISE = 64 << 10  # bytes that a login shell may say before it comes to us


class Machine(Protocol):
    """What a program needs of its host."""

    @property
    def name(self) -> str: ...

    def open(self) -> Channel:
        """A new session."""

    def ask(self, script: str, *arguments: str) -> str:
        """What a small shell script printed."""

    def guard(self, group: int) -> None:
        """End this group when the line is cut."""

    def release(self, group: int) -> None:
        """It has ended."""


class RemoteChild:
    """A running Command. Its standard error is drained all the time, so that it never blocks."""

    def __init__(
        self,
        machine: Machine,
        command: Command,
        *,
        stdin: bool = False,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        if command.inherits:
            raise HostFailed(f"{machine.name}: descriptors do not reach another machine")
        self.command = command
        self.reader: threading.Thread | None = None  # who reads `stdout`, if not the caller
        self._machine = machine
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._on_line = on_line
        self._guarded = False
        self._channel = machine.open()
        self._stdin = io.BufferedWriter(RemoteInput(self._channel), BLOCK)
        self._stdout = io.BufferedReader(RemoteOutput(self._channel.recv), BLOCK)
        try:
            self.pid = self._start(stdin or command.holds_input or command.input is not None)
        except BaseException:
            self.end()
            raise
        self._channel.settimeout(None)  # it may be silent for hours; `wait` keeps the deadline
        self._heard = 0
        self._drain = threading.Thread(target=self._drain_stderr, daemon=True)
        self._drain.start()
        if command.input is not None:
            self._give(command.input.reveal().encode(), keep_open=stdin or command.holds_input)
        elif not stdin and not command.holds_input:
            self.close_stdin()

    pid = 0

    def _start(self, takes_input: bool) -> int:
        mark = f"stockctl-{secrets.token_hex(8)}"
        with answering(self._machine.name, f"start {self.command.argv[0]}"):
            self._channel.exec_command(ssh_scripts.start(mark))
            pid = _number(self._line(mark))
            self.pid = pid
            self._machine.guard(pid)
            self._guarded = True
            program = ssh_scripts.program(self.command, mark, takes_input).encode()
            self._channel.sendall(b"%d\n%s" % (len(program), program))
            said = self._line("go", "folder", "missing", "denied")
        if said != "go":
            raise _does_not_start(self.command, said, self._machine.name)
        return pid

    def _line(self, *beginnings: str) -> str:
        """The next line that begins like that; what a login shell prints first is skipped."""
        line = b""
        for _ in range(_NOISE):
            byte = self._channel.recv(1)
            if not byte:
                said = self._channel.recv_stderr(2000).decode(errors="replace").strip()
                raise EOFError(said or "it hung up")
            if byte != b"\n":
                line += byte
                continue
            if line.decode(errors="replace").startswith(beginnings):
                return line.decode()
            line = b""
        raise EOFError("it says things that stockctl does not understand")

    def _give(self, data: bytes, *, keep_open: bool) -> None:
        """Writes the input: beside us, since what is larger than a window waits for its reader,
        but at once where a caller streams more after it."""

        def write() -> None:
            with suppress(BrokenPipeError, ValueError):  # it ended early; its exit code tells why
                self._stdin.write(data)
                self._stdin.flush()
                if not keep_open:
                    self._stdin.close()

        if keep_open and not self.command.holds_input:
            write()
        else:
            threading.Thread(target=write, daemon=True).start()

    def _drain_stderr(self) -> None:
        raw = io.BufferedReader(RemoteOutput(self._channel.recv_stderr), BLOCK)
        with io.TextIOWrapper(raw, errors="replace") as lines:
            for line in lines:
                self._heard += 1
                self._tail.append(line.rstrip("\n"))
                tell(self._on_line, line.rstrip("\n"))

    @property
    def stdin(self) -> IO[bytes]:
        return self._stdin

    @property
    def stdout(self) -> IO[bytes]:
        return self._stdout

    @property
    def stderr_tail(self) -> str:
        """The last lines of standard error."""
        return "\n".join(self._tail)

    def close_stdin(self) -> None:
        """End of what is streamed in. A program that left before is found by `wait`."""
        with suppress(BrokenPipeError):
            self._stdin.close()

    def wait(self, timeout_s: float | None = None) -> int:
        """Its exit code. Raises DeadlineExceeded, having ended it; HostFailed when the line was
        cut before the code came."""
        if not self._channel.status_event.wait(timeout_s):
            raise self.overdue(timeout_s or 0)
        code = _exit_code(self._channel)
        if code is None:
            raise HostFailed(
                f"the line to {self._machine.name} was cut while {self.command.argv[0]} ran",
                details=f"$ {self.command}\n{self.stderr_tail}",
                hint="What it started there is being ended. Look at the network, then run again.",
            )
        let_end(self._drain, lambda: self._heard, DRAIN_S if timeout_s is None else timeout_s)
        self._let_go()
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
        """SIGTERM to the whole group, then SIGKILL; harmless when it is over already. Where the
        line is gone the watchdog on the other side does it."""
        try:
            if self.pid:
                self._kill(GRACE_S)
        except (KeyboardInterrupt, Terminated):
            self._kill(0)
            raise
        finally:
            self.close()
            self._let_go()

    def _kill(self, grace_s: float) -> None:
        with suppress(HostFailed):
            self._machine.ask(ssh_scripts.END, str(self.pid), str(int(grace_s / 0.05)))

    def _let_go(self) -> None:
        if self._guarded:
            self._guarded = False
            self._machine.release(self.pid)

    def close(self) -> None:
        """Our ends of its streams. Closing wakes whoever still waits on one."""
        self._channel.close()
        for file in (self._stdin, None if self.reader is not None else self._stdout):
            if file is not None:
                with suppress(BrokenPipeError):
                    file.close()
        if self.reader is not None:
            self.reader.join(1.0)


def _number(line: str) -> int:
    number = line.partition(" ")[2]
    if not number.isdigit():
        raise EOFError(f"it says {line!r} and not its number")
    return int(number)


def _does_not_start(command: Command, said: str, machine: str) -> Exception:
    if said == "folder":
        return HostFailed(f"no such folder on {machine}: {command.directory}")
    if said == "denied":
        return ToolFailed(f"{command.argv[0]} does not start: Permission denied")
    return ToolMissing(f"{command.argv[0]} is not on {machine}", hint="stockctl doctor ENV")


def _exit_code(channel: Any) -> int | None:
    """As `subprocess` has it; None when the line was cut before it came."""
    if channel.exit_status != -1:
        return int(channel.exit_status)
    name = getattr(channel, "exit_signal", None)
    if name is None:
        return None
    known = getattr(signal, f"SIG{name}", None)
    return -int(known) if known is not None else 255
