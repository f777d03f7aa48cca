"""A dump that is restored while it is decoded.

pg_restore's parallel jobs need a file in which they can seek, and so they begin when all of it is
decoded. Where nearly all rows are in one table a second job has nothing to do before the rows are
there. So there one pg_restore takes tables and rows from a pipe while the next block is decoded;
what comes after the rows (indexes, keys) is in the table of contents, and needs no more than that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain

from stockctl.backup.archive import ArchiveReader, Contents
from stockctl.backup.dump import Dump
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.backup.verify import read
from stockctl.env.keys import Identities

# Decoding less takes no time, and it is good to know that all is well before anything is made.
_LEAST_BYTES = 64 << 20
_ONE_TABLE = 0.8  # of all rows


def worth_it(backup: Backup, jobs: int) -> bool:
    """Whether it comes sooner than parallel jobs, by what the manifest says."""
    rows = [count for _table, count in backup.fingerprint]
    return (
        jobs > 1
        and (backup.dump_bytes or 0) >= _LEAST_BYTES
        and max(rows, default=0) >= sum(rows) * _ONE_TABLE
    )


@dataclass(frozen=True, slots=True)
class Stream:
    """An archive of which only the table of contents was read. `blocks` are all of it, from its
    first byte; when they have come to their end, they were what the manifest says."""

    contents: Contents
    head: bytes
    blocks: Iterator[bytes]

    @contextmanager
    def table_of_contents(self) -> Iterator[Dump]:
        """That alone, in memory, as a file that several can read."""
        descriptor = os.memfd_create("pg_restore.head")
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(self.head)
            yield Dump(descriptor, len(self.head), self.contents)
        finally:
            os.close(descriptor)


@contextmanager
def opened(backup: Backup, store: Store, identities: Identities | None) -> Iterator[Stream]:
    """Raises BackupInvalid, what a Store raises; so do its blocks."""
    with closing(read(backup, store, identities)) as blocks:
        archive, first = ArchiveReader(count_rows=False), b""
        for block in blocks:
            first += block
            archive.feed(block)
            if archive.knows_contents:
                break
        contents = archive.close()
        yield Stream(contents, first[: archive.head_bytes], chain((first,), blocks))
