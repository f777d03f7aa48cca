"""Files in a folder as a store reads and writes them: links are refused, durable means fsync."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from stockctl.core.errors import StoreFailed

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BEGIN_BYTES = 8 << 20
_HINTS = {
    errno.ENOSPC: "The disk is full: free space, or prune (`stockctl backup prune ENV --plan`).",
    errno.EDQUOT: "Over the quota: free space, or prune (`stockctl backup prune ENV --plan`).",
    errno.EACCES: "The folder must belong to the user who runs stockctl.",
    errno.EPERM: "The folder must belong to the user who runs stockctl.",
    errno.EIO: "The disk or its connection may be failing: look at the kernel's messages (dmesg).",
    errno.EISDIR: "A folder is where a stored file should be.",
    errno.EROFS: "The file system is mounted read-only.",
    errno.ENOENT: "Nothing was backed up yet (the first one makes it), or its disk is not mounted.",
    errno.ENOTDIR: "backup.store must name a folder.",
    errno.ELOOP: "Symbolic links are not followed: put the file itself there.",
}


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turns what the file system says into a StoreFailed, with what to do."""
    try:
        yield
    except OSError as error:
        raise StoreFailed(
            f"cannot {doing}: {error.strerror or error}", hint=_HINTS.get(error.errno or 0, "")
        ) from error


class FileReader(FileIO):
    """A disk may fail in the middle of a file, long after it was opened."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, opener=_open_itself)
        self._path = path

    def readinto(self, buffer: Buffer, /) -> int | None:
        with explained(f"read {self._path}"):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with explained(f"read {self._path}"):
            return super().readall()


class FileWriter:
    """A Writer: `part` while it is written, `final` once it is committed."""

    def __init__(self, descriptor: int, part: Path, final: Path) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._part = part
        self._final = final
        self._size = self._begun = 0

    def write(self, data: bytes, /) -> int:
        rest = memoryview(data)
        with explained(f"write {self._final}"):
            while rest:
                rest = rest[self._file.write(rest) :]
        self._size += len(data)
        if self._size - self._begun >= _BEGIN_BYTES:
            self._begin()
        return len(data)

    def _begin(self) -> None:
        """Has the disk begin with what is there, so that `commit` does not wait for all of it.
        Pages on their way to the disk stay in memory (mm/fadvise.c of Linux)."""
        with suppress(OSError):  # only a hint
            length = self._size - self._begun
            descriptor = self._file.fileno()
            os.posix_fadvise(descriptor, self._begun, length, os.POSIX_FADV_DONTNEED)
        self._begun = self._size

    def commit(self) -> None:
        """Content first, then its name, then the folder that holds the name (fsync(2), NOTES)."""
        with explained(f"write {self._final}"):
            os.fsync(self._file.fileno())
            self._part.rename(self._final)
            sync_folder(self._final.parent)

    def discard(self) -> None:
        """Close; what was not committed goes."""
        with explained(f"remove {self._part}"):
            try:
                self._file.close()  # where a network file system may first say that it failed
            finally:
                self._part.unlink(missing_ok=True)


def _open_itself(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def sync_folder(folder: Path) -> None:
    """The names in it are on disk when this returns. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
