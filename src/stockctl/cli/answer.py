"""Reading what a person types at a question, so that Ctrl-C is never lost on the way."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def typed() -> str:
    """The line, with its end; empty at the end of the input. Raises KeyboardInterrupt. Only for a
    terminal, which hands out one line at a time: what was read too far would not be waited for.

    A signal that comes between Python's last look and the read that waits for the terminal would be
    noticed only after the next line (https://docs.python.org/3/library/signal.html, "Execution of
    Python signal handlers"). So we wait for either, and read when there is something.
    """
    with _woken_by_signals() as signals:
        while True:
            ready, _, _ = select.select([sys.stdin.fileno(), signals], [], [])
            if sys.stdin.fileno() in ready:
                return sys.stdin.readline()
            os.read(signals, 4096)  # the handler has run by now, and did not end us


@contextmanager
def _woken_by_signals() -> Iterator[int]:
    """A descriptor that becomes readable with each signal, also one that is already on its way."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    main = threading.current_thread() is threading.main_thread()
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False) if main else -1
    try:
        yield reading
    finally:
        if main:
            signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
