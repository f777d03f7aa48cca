"""A program that gets our terminal: psql, a shell in a container."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from stockctl.core.command import Command
from stockctl.core.errors import ToolFailed, ToolMissing

GRACE_S = 5.0  # between SIGTERM and SIGKILL


def foreground(command: Command) -> int:
    """Runs it with our terminal, in our process group; its exit code. It never outlives us.

    Ctrl-C reaches both: it is for the statement that runs there, so we do not hear it. Raises
    ToolMissing, ToolFailed.
    """
    heard = signal.signal(signal.SIGINT, _not_for_us)  # not SIG_IGN, which it would inherit
    try:
        with _running(command) as child:
            return child.wait()
    finally:
        signal.signal(signal.SIGINT, heard)


def _not_for_us(_number: int, _frame: object) -> None:
    pass


@contextmanager
def _running(command: Command) -> Iterator[subprocess.Popen[bytes]]:
    program = command.argv[0]
    try:
        child = subprocess.Popen(
            command.argv,
            env={**os.environ, **command.environment},
            pass_fds=command.inherits,
        )
    except FileNotFoundError:
        hint = "apt-get install postgresql-client, or set database.service: its container has one."
        raise ToolMissing(
            f"{program} is not on this machine",
            hint=hint if program.endswith("psql") else "stockctl doctor ENV",
        ) from None
    except OSError as error:
        raise ToolFailed(f"{program} does not start: {error.strerror}") from None
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
