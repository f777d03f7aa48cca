"""Signals that end us, raised where that does no harm: never in the middle of an import.

We import late, so a signal often comes while Python imports. What is raised there can leave the
import lock held (importlib._bootstrap, `_get_module_lock`), and then each import in another thread
waits for ever: an interrupted deploy would hang on its way back. It also leaves modules half made
that the way back needs. So a signal that comes during an import waits for its end.
"""

from __future__ import annotations

import signal
from types import FrameType

from stockctl.core.errors import Terminated

AGAIN_S = 0.01
_IMPORTING = "<frozen importlib"


class Ending:
    """The handler of SIGINT, SIGTERM and SIGHUP; those that are ignored, as under nohup or in the
    background of a shell, stay ignored. `terminated` is remembered, since what is raised within a
    destructor or a callback of C code goes no further: whoever stays for long asks again."""

    def __init__(self) -> None:
        self.terminated = False
        self._number = 0

    def install(self) -> None:
        """To be called once, on the main thread."""
        signal.signal(signal.SIGALRM, self._again)
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
