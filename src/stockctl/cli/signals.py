"""Signals that end us: never lost, and never raised in the middle of an import.

Python only notes a signal, and looks for it between two steps of the main thread. One that comes
after the last look and before a call that blocks is seen when that call returns
(https://docs.python.org/3/library/signal.html, "Execution of Python signal handlers"), which may be
never: of a machine that is busy, a Ctrl-C in ten was lost like that. So a thread hears of each
signal, and for a second interrupts whatever the main thread waits for.

We import late, so a signal often comes while Python imports. What is raised there can leave the
import lock held (importlib._bootstrap, `_get_module_lock`), and then each import in another thread
waits for ever: an interrupted deploy would hang on its way back. It also leaves modules half made
that the way back needs. So a signal that comes during an import waits for its end.

What is raised in a destructor or in a callback of a weak reference goes no further: Python tells
`sys.unraisablehook` and goes on. From there it is raised again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

from stockctl.core.errors import Terminated

AGAIN_S = 0.01
_NUDGE = signal.SIGURG  # nobody else sends it, and by default it does nothing
_NUDGES, _NUDGE_S = 20, 0.05
_IMPORTING = "<frozen importlib"


def stay_awake() -> None:
    """To be called once by the program, on the main thread."""
    heard, written = os.pipe()
    os.set_blocking(written, False)
    signal.signal(_NUDGE, _nothing)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    main = threading.get_ident()
    threading.Thread(target=_nudge, args=(heard, main), daemon=True).start()


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """An ignored signal would interrupt nothing."""


def _nudge(heard: int, main: int) -> None:
    while True:
        if set(os.read(heard, 4096)) == {_NUDGE}:
            continue
        for _ in range(_NUDGES):
            time.sleep(_NUDGE_S)
            signal.pthread_kill(main, _NUDGE)


class Ending:
    """The handler of SIGINT, SIGTERM and SIGHUP; those that are ignored, as under nohup or in the
    background of a shell, stay ignored. `terminated` is remembered, since C code may drop what is
    raised in its callbacks without a word: whoever stays for long asks again."""

    def __init__(self) -> None:
        self.terminated = False
        self._number = 0

    def install(self) -> None:
        """To be called once, on the main thread."""
        signal.signal(signal.SIGALRM, self._again)
        sys.unraisablehook = self._unraisable
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.terminated = self.terminated or number != signal.SIGINT
        self._number = number
        self._end(frame)

    def _again(self, _number: int, frame: FrameType | None) -> None:
        if self._number:  # else it is somebody's own SIGALRM, and of no meaning to us
            self._end(frame)

    def _unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            self._number = signal.SIGINT
        elif issubclass(lost.exc_type, Terminated):
            self._number = signal.SIGTERM
        else:
            sys.__unraisablehook__(lost)
            return
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)

    def _end(self, frame: FrameType | None) -> None:
        if _importing(frame):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
            return
        number, self._number = self._number, 0
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def _importing(frame: FrameType | None) -> bool:
    """Whether it, or who called it, is an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            return True
        frame = frame.f_back
    return False
