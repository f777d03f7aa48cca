"""A folder as a store: a hidden file while it is written, renamed into its name when complete."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BufferedReader, FileIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

from stockctl.backup.stores.base import Entry, Store, Writer, checked, is_name
from stockctl.core.errors import Locked, StoreFailed
from stockctl.system import lock_note
from stockctl.system.host import Holder

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BEGIN_BYTES = 8 << 20
_PART = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.part")
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
def _explained(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreFailed(
            f"cannot {doing}: {error.strerror or error}", hint=_HINTS.get(error.errno or 0, "")
        ) from error


class DirectoryStore(Store):
    """Files 0600 in a folder that it makes 0700. Links are refused, durable means fsync.

    A folder that is missing may be a disk that is not mounted, so to list it is a failure. With
    `make`, for a folder of our own in a place that is always there, it is an empty store.
    """

    def __init__(self, path: Path, *, make: bool = False) -> None:
        self.path = path
        self._make_to_list = make

    def describe(self) -> str:
        return str(self.path)

    @contextmanager
    def open_writer(
        self,
        name: str,
        expected_bytes: int = 0,  # noqa: ARG002 (a disk says itself when it is full)
    ) -> Iterator[Writer]:
        final = self.path / checked(name)
        self._make()
        part = self.path / f".{name}.{secrets.token_hex(4)}.part"
        writer: _FileWriter | None = None
        try:  # from before there is a file: Ctrl-C may come at any moment
            with _explained(f"write {final}"):
                descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            writer = _FileWriter(descriptor, part, final)
            yield writer
        finally:
            if writer is not None:
                writer.discard()
            else:
                with suppress(OSError):  # where none could be made
                    part.unlink(missing_ok=True)

    @contextmanager
    def reader(self, name: str) -> Iterator[IO[bytes]]:
        path = self.path / checked(name)
        with _explained(f"read {path}"):
            raw = _FileReader(path)
        with BufferedReader(raw) as file:
            yield file

    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self._listed())

    def entries(self) -> Mapping[str, Entry]:
        found = {}
        with _explained(f"list {self.path}"):
            for entry in self._listed():
                with suppress(FileNotFoundError):  # it went meanwhile
                    found[entry.name] = _entry(entry.stat(follow_symlinks=False))
        return found

    def _listed(self) -> list[os.DirEntry[str]]:
        if self._make_to_list:
            self._make()
        with _explained(f"list {self.path}"), os.scandir(self.path) as entries:
            files = [
                entry
                for entry in entries
                if is_name(entry.name) and entry.is_file(follow_symlinks=False)
            ]
        return sorted(files, key=lambda entry: entry.name)

    def size(self, name: str) -> int:
        path = self.path / checked(name)
        with _explained(f"look at {path}"):
            return path.stat(follow_symlinks=False).st_size

    def delete(self, name: str) -> None:
        path = self.path / checked(name)
        with _explained(f"remove {path}"):
            path.unlink(missing_ok=True)
            _sync_folder(self.path)

    def sweep(self, prefix: str) -> tuple[str, ...]:
        self._make()
        swept = []
        with _explained(f"sweep {self.path}"):
            for entry in sorted(self.path.iterdir()):
                found = _PART.fullmatch(entry.name)
                if found and found["name"].startswith(prefix):
                    entry.unlink(missing_ok=True)
                    swept.append(found["name"])
        return tuple(swept)

    @contextmanager
    def lock(self, environment: str, holder: Holder) -> Iterator[None]:
        """`flock(2)` on a hidden file, which stays: a second holder must find this very file."""
        path = self.path / f".{checked(environment)}.lock"
        self._make()
        with _explained(f"lock {path}"):
            descriptor = _open_lock(path)
        if descriptor is None:
            yield
            return
        try:
            with _explained(f"lock {path}"):
                who = lock_note.take(descriptor)
            if who:
                raise Locked(
                    f"the backup store {self.path} is locked by {who}",
                    hint="Wait for it to end and run the command again.",
                    retry_after_s=30,
                )
            lock_note.sign(descriptor, holder)
            yield
        finally:
            os.close(descriptor)

    def _make(self) -> None:
        with _explained(f"make {self.path}"):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)


class _FileReader(FileIO):
    """A disk may fail in the middle of a file, long after it was opened."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, opener=_open_itself)
        self._path = path

    def readinto(self, buffer: Buffer, /) -> int | None:
        with _explained(f"read {self._path}"):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with _explained(f"read {self._path}"):
            return super().readall()


class _FileWriter:
    def __init__(self, descriptor: int, part: Path, final: Path) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._part = part
        self._final = final
        self._size = self._begun = 0

    def write(self, data: bytes, /) -> int:
        rest = memoryview(data)
        with _explained(f"write {self._final}"):
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
        with _explained(f"write {self._final}"):
            os.fsync(self._file.fileno())
            self._part.rename(self._final)
            _sync_folder(self._final.parent)

    def discard(self) -> None:
        """Close; what was not committed goes."""
        with _explained(f"remove {self._part}"):
            try:
                self._file.close()  # where a network file system may first say that it failed
            finally:
                self._part.unlink(missing_ok=True)


def _entry(stat: os.stat_result) -> Entry:
    """A file is only ever replaced by a new one, so that its number changes with its bytes."""
    version = f"{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}"
    return Entry(stat.st_size, version, datetime.fromtimestamp(stat.st_mtime, UTC))


def _open_itself(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _open_lock(path: Path) -> int | None:
    """None on a disk that is mounted read-only: from there nothing can be taken away, and what is
    on it can still be restored."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
