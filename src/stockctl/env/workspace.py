"""A private folder in which an editor may see plaintext, gone when the command ends.

However it ends: the block's end, an exception and a signal remove it. What a `kill -9` leaves is
known by its name and by the lock that nobody holds any more, and goes with the next run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from stockctl.core.errors import HostFailed, Terminated

PREFIX = "stockctl-edit-"
_TRIES = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def bases(process: Mapping[str, str]) -> list[Path]:
    """Where such a folder may be, the best place first: in memory and of this user alone, in
    memory, anywhere."""
    runtime = process.get("XDG_RUNTIME_DIR", "")
    named = [Path(runtime)] if runtime.startswith("/") else []
    usual = (Path(f"/run/user/{os.geteuid()}"), Path("/dev/shm"), Path(tempfile.gettempdir()))
    wanted = [*named, *usual]
    return [base for base in dict.fromkeys(wanted) if _usable(base)]


@contextmanager
def private_folder(process: Mapping[str, str]) -> Iterator[Path]:
    """A new folder, 0700. Nothing of it is left behind the block."""
    with _signals() as waiting:
        folder, descriptor = _make(process)
        try:
            try:
                waiting.release()
                yield folder
            finally:  # a signal right here raises once more, into the block's real end
                waiting.on = True
        finally:
            waiting.on = True
            try:
                _remove(folder)
            finally:
                os.close(descriptor)


def sweep(process: Mapping[str, str]) -> list[Path]:
    """Removes what was left behind by runs that are no more, and says what that was."""
    swept = []
    for base in bases(process):
        for folder in base.glob(f"{PREFIX}*"):
            descriptor = _claim(folder)
            if descriptor is not None:
                _remove(folder)
                os.close(descriptor)
                swept.append(folder)
    return swept


class _Waiting:
    """Lets the first signal through, which ends the block, and keeps the others until all is
    removed: somebody in a hurry presses Ctrl-C twice.

    Not by pthread_sigmask(3): a signal for the process finds any thread that does not block it.
    """

    def __init__(self) -> None:
        self.on = True
        self.before = {number: signal.getsignal(number) for number in _SIGNALS}
        self._kept: list[int] = []

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.on:
            self._kept.append(number)
        else:
            self.on = True
            self._pass_on(number, frame)

    def release(self) -> None:
        """From now on one may come; one that came is passed on."""
        self.on = False
        if self._kept:
            self(self._kept.pop(), None)

    def restore(self) -> None:
        """The handlers are as they were, and get what was kept."""
        for number, handler in self.before.items():
            if handler is not None:  # None: not set by Python, and not touched
                signal.signal(number, handler)
        if self._kept:
            self._pass_on(self._kept[0], None)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        handler = self.before[signal.Signals(number)]
        if not callable(handler):  # by default we would be gone before anything is removed
            raise Terminated
        handler(number, frame)


@contextmanager
def _signals() -> Iterator[_Waiting]:
    """Signals wait until `release`, and again at the end of the block. Ignored ones, as under
    nohup, stay ignored."""
    waiting = _Waiting()
    try:
        for number, handler in waiting.before.items():
            if handler not in (signal.SIG_IGN, None):
                signal.signal(number, waiting)
        yield waiting
    finally:
        waiting.restore()


def _make(process: Mapping[str, str]) -> tuple[Path, int]:
    problem: OSError | None = None
    # more than once: somebody's sweep may take a new folder for one that was left behind
    for base in [base for base in bases(process) for _ in range(_TRIES)]:
        try:
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        except OSError as error:
            problem = error
            continue
        descriptor = _claim(folder)
        if descriptor is not None:
            return folder, descriptor
    reason = problem.strerror if problem else "no folder that can be written"
    raise HostFailed(f"cannot make a private folder for the editor: {reason}")


def _claim(folder: Path) -> int | None:
    """The lock of a folder of ours; None where it is held, gone, or somebody else's."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.fstat(descriptor).st_uid == os.geteuid()
        same = os.path.samestat(os.fstat(descriptor), folder.lstat())
    except OSError:
        ours = same = False
    if ours and same:
        return descriptor
    os.close(descriptor)
    return None


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise HostFailed(
            f"cannot remove {folder}, which may hold plaintext: {error.strerror}",
            hint=f"rm -r {folder}",
        ) from None


def _usable(base: Path) -> bool:
    with suppress(OSError):
        status = base.stat()
        mode = status.st_mode
        # others may write there only where they cannot rename what is ours
        safe = status.st_uid in (0, os.geteuid()) and (
            not mode & (stat.S_IWOTH | stat.S_IWGRP) or bool(mode & stat.S_ISVTX)
        )
        return stat.S_ISDIR(mode) and safe and os.access(base, os.W_OK | os.X_OK)
    return False
