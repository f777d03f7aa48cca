"""A folder as a store: a hidden file while it is written, renamed into its name when complete."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import IO

from stockctl.backup.stores.base import Entry, Store, Writer, checked, is_name
from stockctl.backup.stores.directory_file import FileReader, FileWriter, explained, sync_folder
from stockctl.core.errors import Locked
from stockctl.system import lock_note
from stockctl.system.disk import Disk, disk_of
from stockctl.system.host import Holder
from stockctl.system.local import LocalHost

_PART = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.part")


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

    def disk(self) -> Disk | None:
        return disk_of(LocalHost(), self.path, made=False)

    @contextmanager
    def open_writer(
        self,
        name: str,
        expected_bytes: int = 0,  # noqa: ARG002 (a disk says itself when it is full)
    ) -> Iterator[Writer]:
        final = self.path / checked(name)
        self._make()
        part = self.path / f".{name}.{secrets.token_hex(4)}.part"
        writer: FileWriter | None = None
        try:  # from before there is a file: Ctrl-C may come at any moment
            with explained(f"write {final}"):
                descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            writer = FileWriter(descriptor, part, final)
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
        with explained(f"read {path}"):
            raw = FileReader(path)
        with BufferedReader(raw) as file:
            yield file

    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self._listed())

    def entries(self) -> Mapping[str, Entry]:
        found = {}
        with explained(f"list {self.path}"):
            for entry in self._listed():
                with suppress(FileNotFoundError):  # it went meanwhile
                    found[entry.name] = _entry(entry.stat(follow_symlinks=False))
        return found

    def _listed(self) -> list[os.DirEntry[str]]:
        if self._make_to_list:
            self._make()
        with explained(f"list {self.path}"), os.scandir(self.path) as entries:
            files = [
                entry
                for entry in entries
                if is_name(entry.name) and entry.is_file(follow_symlinks=False)
            ]
        return sorted(files, key=lambda entry: entry.name)

    def size(self, name: str) -> int:
        path = self.path / checked(name)
        with explained(f"look at {path}"):
            return path.stat(follow_symlinks=False).st_size

    def delete(self, name: str) -> None:
        path = self.path / checked(name)
        with explained(f"remove {path}"):
            path.unlink(missing_ok=True)
            sync_folder(self.path)

    def sweep(self, prefix: str) -> tuple[str, ...]:
        self._make()
        swept = []
        with explained(f"sweep {self.path}"):
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
        with explained(f"lock {path}"):
            descriptor = _open_lock(path)
        if descriptor is None:
            yield
            return
        try:
            with explained(f"lock {path}"):
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
        with explained(f"make {self.path}"):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _entry(stat: os.stat_result) -> Entry:
    """A file is only ever replaced by a new one, so that its number changes with its bytes."""
    version = f"{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}"
    return Entry(stat.st_size, version, datetime.fromtimestamp(stat.st_mtime, UTC))


def _open_lock(path: Path) -> int | None:
    """None on a disk that is mounted read-only: from there nothing can be taken away, and what is
    on it can still be restored."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return None
