"""This machine as a Host."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stockctl.core.command import Command, Completed
from stockctl.core.errors import HostFailed, Locked
from stockctl.core.units import format_instant
from stockctl.system.host import Holder
from stockctl.system.process import Child, failure, tell

TOLD_LINES = 60  # of a build, say: its last words are among them
GRAB_TRIES = 5
GRAB_PAUSE_S = 0.02


@contextmanager
def _files(doing: str) -> Iterator[None]:
    """Turns what the file system says into a HostFailed that a person can use."""
    try:
        yield
    except OSError as error:
        raise HostFailed(f"cannot {doing}: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    """A rename is on disk only once its folder is (fsync(2), NOTES)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LocalHost:
    """Runs programs and keeps files on this machine."""

    name = "this machine"

    def run(
        self,
        command: Command,
        *,
        timeout_s: float,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
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
        with self.stream(command, on_line=hear) as child:
            reader = threading.Thread(target=_read_lines, args=(child, stdout, listen), daemon=True)
            child.reader = reader
            reader.start()
            code = child.wait(timeout_s)
            reader.join(max(0.0, started + timeout_s - time.monotonic()))
            if reader.is_alive():  # it left somebody behind who keeps the output open
                raise child.overdue(timeout_s)
        done = Completed(
            command, code, "".join(stdout), "\n".join(stderr), time.monotonic() - started
        )
        if check and not done.ok:
            spoken = "\n".join(told) if on_line is not None else done.stderr or done.stdout
            raise failure(command, code, spoken)
        return done

    @contextmanager
    def stream(
        self,
        command: Command,
        *,
        stdin: bool = False,
        on_line: Callable[[str], None] | None = None,
    ) -> Iterator[Child]:
        child = Child(command, stdin=stdin, on_line=on_line)
        try:
            yield child
        except BaseException:
            child.end()
            raise
        child.close()

    def read(self, path: Path) -> bytes:
        with _files(f"read {path}"):
            return path.read_bytes()

    def write(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        with _files(f"write {path}"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
                with os.fdopen(descriptor, "wb") as file:
                    os.fchmod(descriptor, mode)  # whatever the umask took away
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(path.parent)

    def append(self, path: Path, data: bytes) -> None:
        with _files(f"write {path}"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                # Alone for the moment of the write: another line half-way looks like a cut one.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    data = b"\n" + data  # a crash cut that line; it must not take this one along
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if not size:
                _sync_folder(path.parent)

    def exists(self, path: Path) -> bool:
        with _files(f"look at {path}"):
            return path.exists()

    def names(self, folder: Path) -> list[str]:
        with _files(f"list {folder}"):
            return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def remove(self, path: Path) -> None:
        with _files(f"remove {path}"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    @contextmanager
    def lock(self, path: Path, holder: Holder) -> Iterator[None]:
        """`flock(2)`: the kernel drops it when the last descriptor closes, however we end.

        The file stays: removing it would let a second holder lock a new file of the same name.
        """
        with _files(f"lock {path}"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _grab(descriptor):
                raise _held(path)
            note = {
                "who": holder.who,
                "doing": holder.doing,
                "since": format_instant(holder.since),
                "pid": os.getpid(),
            }
            with suppress(OSError):  # on a full disk it is held all the same, just not signed
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(note).encode(), 0)
            yield
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def holder(self, path: Path) -> str | None:
        if not self.exists(path):
            return None
        with _files(f"look at {path}"), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _noted(path)
        return None


def _read_lines(child: Child, lines: list[str], on_line: Callable[[str], None] | None) -> None:
    with child.stdout as raw_lines:
        for raw in raw_lines:
            line = raw.decode(errors="replace")
            lines.append(line)
            tell(on_line, line.rstrip("\n"))


def _grab(descriptor: int) -> bool:
    """Several tries: whoever asks `holder` has the lock for an instant too."""
    for _ in range(GRAB_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(GRAB_PAUSE_S)
        else:
            return True
    return False


def _noted(path: Path) -> str:
    """What the holder wrote; the note may be empty for the instant in which it is being written."""
    try:
        note = json.loads(path.read_bytes())
        return f"{note['who']} (pid {note['pid']}), {note['doing']} since {note['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another stockctl"


def _held(path: Path) -> Locked:
    return Locked(
        f"locked by {_noted(path)}",
        hint="Wait for it to end and run the command again.",
        retry_after_s=30,
    )
