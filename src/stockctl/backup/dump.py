"""A decoded dump in a file that has no name, for pg_restore's parallel jobs.

They need a file in which they can seek. This one cannot be opened by anybody else, and the kernel
takes it away when we end, however we end: nothing is left to be swept.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stockctl.backup.archive import ArchiveReader, Contents
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.backup.verify import read
from stockctl.core.errors import HostFailed
from stockctl.core.progress import Step
from stockctl.core.units import format_size
from stockctl.env.keys import Identities

# What some file systems say to O_TMPFILE (open(2), ERRORS).
_NO_NAMELESS_FILES = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class Dump:
    """An archive that was read to its end: all of it is what the manifest says."""

    descriptor: int
    size_bytes: int
    contents: Contents

    @property
    def path(self) -> str:
        """How a child that inherits the descriptor opens it again, for itself."""
        return f"/proc/self/fd/{self.descriptor}"


@contextmanager
def decoded(
    backup: Backup, store: Store, identities: Identities | None, folder: Path, step: Step
) -> Iterator[Dump]:
    """Raises BackupInvalid, HostFailed for a full disk, what a Store raises."""
    descriptor = _nameless(folder)
    try:
        archive, done = ArchiveReader(count_rows=False), 0
        for block in read(backup, store, identities):
            archive.feed(block)
            _write(descriptor, block, folder)
            done += len(block)
            step.transferred(done, backup.dump_bytes or backup.database_bytes)
        step.detail = f"{format_size(done)}, size and sha256 are those of the manifest"
        yield Dump(descriptor, done, archive.close())
    finally:
        os.close(descriptor)


def _nameless(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _NO_NAMELESS_FILES:
            raise HostFailed(f"cannot write to {folder}: {error.strerror}") from error
    descriptor, name = tempfile.mkstemp(dir=folder)  # 0600
    Path(name).unlink()
    return descriptor


def _write(descriptor: int, block: bytes, folder: Path) -> None:
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise HostFailed(
            f"cannot decode the backup into {folder}: {error.strerror}",
            hint="Make room, or restore with --jobs 1: it needs none.",
        ) from error
