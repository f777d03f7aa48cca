"""The line of an SshHost: connected when first used, again after it was cut, never behind a lock's
back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stockctl.core.errors import HostFailed
from stockctl.system.ssh_address import Target
from stockctl.system.ssh_line import Line

CLOSE_S = 0.5


class Connection:
    """One line at a time, for all threads."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._name = str(target.address)
        self._line: Line | None = None
        self._locks = 0
        self._lock_lost = False  # with the line; nothing is done until its block has ended
        self._mutex = threading.Lock()
        self._attempts = 0
        self._failure: tuple[str, str, str] | None = None  # of the newest attempt to connect

    def line(self) -> Line:
        """Several may ask at once: one connects, and its failure is that of all who waited. Raises
        HostFailed, also where a lock went with the line before this one."""
        attempt = self._attempts
        with self._mutex:
            if self._line is not None and not self._line.alive:
                self._drop()
                self._lock_lost = self._locks > 0
            if self._lock_lost:
                raise HostFailed(
                    f"the line to {self._name} was cut, and the lock is gone with it",
                    hint="Look at the network, then run the command again.",
                )
            if self._line is None:
                self._line = self._connect(attempt)
            return self._line

    @contextmanager
    def holding(self) -> Iterator[None]:
        """In the block a lock over there hangs on this very line."""
        self._locks += 1
        try:
            yield
        finally:
            self._locks -= 1
            self._lock_lost = self._lock_lost and self._locks > 0

    def close(self) -> None:
        """Whoever is still connecting, on a thread that was left behind, is not waited for: that
        has nothing to end."""
        if self._mutex.acquire(timeout=CLOSE_S):
            try:
                self._drop()
            finally:
                self._mutex.release()

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = None

    def _connect(self, attempt: int) -> Line:
        if attempt != self._attempts and self._failure is not None:
            message, details, hint = self._failure
            raise HostFailed(message, details=details, hint=hint)
        self._failure = None
        try:
            return Line(self._target)
        except HostFailed as error:
            self._failure = (error.message, error.details, error.hint)
            raise
        finally:
            self._attempts += 1
