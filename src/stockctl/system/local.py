"""This machine as a Host."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from stockctl.core.command import Command, Completed
from stockctl.core.errors import HostFailed
from stockctl.system import lock_note
from stockctl.system.host import Holder
from stockctl.system.process import Child
from stockctl.system.running import OnLine, Running, run

ANSWER_S = 30.0


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
        def start(command: Command, on_line: OnLine) -> AbstractContextManager[Running]:
            return self.stream(command, on_line=on_line)

        return run(start, command, timeout_s=timeout_s, check=check, on_line=on_line)

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

    def ask(self, script: str, *arguments: str) -> str:
        command = Command(("sh", "-c", script, "sh", *arguments))
        return self.run(command, timeout_s=ANSWER_S).stdout

    def read(self, path: Path) -> bytes:
        with _files(f"read {path}"):
            return path.read_bytes()

    def found(self, *paths: Path) -> dict[Path, bytes]:
        return {path: self.read(path) for path in paths if self.exists(path)}

    def found_below(self, folder: Path, name: str) -> dict[str, bytes]:
        places = [each for each in self.names(folder) if not each.startswith(".")]
        found = self.found(*(folder / each / name for each in places))
        return {path.parent.name: data for path, data in found.items()}

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

    def rename(self, path: Path, to: Path) -> None:
        with _files(f"rename {path}"):
            path.rename(to)
            _sync_folder(to.parent)

    def remove(self, *paths: Path) -> None:
        for path in paths:
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
            if who := lock_note.take(descriptor):
                raise lock_note.held(who)
            lock_note.sign(descriptor, holder)
            yield
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def begin(self) -> None:
        """There is nothing to begin."""

    def require(self) -> None:
        """We are on it."""

    def reach(self, host: str, port: int) -> tuple[str, int]:
        return host, port

    engine: str | None = None

    def holder(self, path: Path) -> str | None:
        if not self.exists(path):
            return None
        with _files(f"look at {path}"), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _noted(path)
        return None


def _noted(path: Path) -> str:
    try:
        return lock_note.said(path.read_bytes())
    except OSError:
        return lock_note.SOMEBODY
