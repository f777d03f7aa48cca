"""Shells on another machine that stay: a question is one way there and back, not a session.

A session for each would be three ways, a login shell and its files over there.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from stockctl.core.errors import HostFailed
from stockctl.system import ssh_scripts
from stockctl.system.ssh_line import Line, answering, end_input

if TYPE_CHECKING:
    from paramiko import Channel

BLOCK = 1 << 16
SAID = 32 << 10  # bytes of content; a shell reads what it is told one by one
KEPT = 2  # that wait for the next question; sshd allows ten sessions at once (MaxSessions)
_CODE = 5  # bytes that an exit code and two line ends take at most


class Shell:
    """One of them. After a failure nobody knows where it is: it is closed."""

    def __init__(self, line: Line, machine: str) -> None:
        self.line = line
        self._machine = machine
        self._channel: Channel = line.channel()
        try:
            with answering(machine, "start a shell"), self._channel.makefile("rb") as answer:
                self._channel.exec_command(ssh_scripts.call(ssh_scripts.STANDING))
                ssh_scripts.skip_greeting(answer)
        except BaseException:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """Whether it is there, as far as can be told without asking."""
        return not (self._channel.closed or self._channel.exit_status_ready())

    def ask(self, script: str, arguments: tuple[str, ...], data: bytes) -> tuple[int, bytes, bytes]:
        """Exit code, standard output and error of a small script. Raises HostFailed where the
        answer does not come to its end."""
        mark = secrets.token_hex(16)
        with answering(self._machine, "get an answer"):
            self._channel.sendall(ssh_scripts.question(mark, script, arguments, data))
            stdout, code = self._until(mark, self._channel.recv)
            stderr, _ = self._until(mark, self._channel.recv_stderr)
        return int(code), stdout, stderr

    def _until(self, mark: str, receive: Callable[[int], bytes]) -> tuple[bytes, bytes]:
        """What comes before the line that begins with the mark, and the rest of that line."""
        said, ends = bytearray(), f"\n{mark} ".encode()
        while not (said.endswith(b"\n") and ends in said[-len(ends) - _CODE :]):
            piece = receive(BLOCK)
            if not piece:
                raise HostFailed(f"the line to {self._machine} was cut")
            said += piece
        before, _, after = said.rpartition(ends)
        return bytes(before), bytes(after)

    def close(self) -> None:
        """What it is at goes on to its end over there."""
        self._channel.close()


class Shells:
    """Those of one machine: for each who asks at the same time one of their own."""

    def __init__(self, line: Callable[[], Line], machine: str) -> None:
        self._line = line
        self._machine = machine
        self._waiting: list[Shell] = []
        self._mutex = Lock()

    def ask(self, script: str, arguments: tuple[str, ...], data: bytes) -> tuple[int, bytes, bytes]:
        """As `Shell.ask`. Raises HostFailed, also where the line was cut before."""
        line = self._line()
        if len(data) > SAID:
            return _ask_alone(line.channel(), self._machine, script, arguments, data)
        shell = self._take(line)
        try:
            answer = shell.ask(script, arguments, data)
        except BaseException:
            shell.close()
            raise
        self._give_back(shell)
        return answer

    def begin(self) -> None:
        """Makes one, for who asks first."""
        self._give_back(self._take(self._line()))

    def _take(self, line: Line) -> Shell:
        with self._mutex:
            while self._waiting:
                shell = self._waiting.pop()
                if shell.line is line and shell.usable:
                    return shell
        return Shell(line, self._machine)

    def _give_back(self, shell: Shell) -> None:
        with self._mutex:
            if len(self._waiting) < KEPT:
                self._waiting.append(shell)
                return
        shell.close()


def _ask_alone(
    channel: Channel, machine: str, script: str, arguments: tuple[str, ...], data: bytes
) -> tuple[int, bytes, bytes]:
    """In a session of its own, with the data as its input."""
    try:
        with answering(machine, "get an answer"), channel.makefile("rb") as answer:
            channel.exec_command(ssh_scripts.call(script, *arguments))
            _feed(channel, data)
            ssh_scripts.skip_greeting(answer)
            stdout = answer.read()
            stderr = channel.makefile_stderr("rb").read()
            code = channel.recv_exit_status()
    finally:
        channel.close()
    if code == -1:
        raise HostFailed(f"the line to {machine} was cut")
    return code, stdout, stderr


def _feed(channel: Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
        end_input(channel)
    except TimeoutError:
        raise
    except OSError:
        pass  # it ended before it read everything, and says why
