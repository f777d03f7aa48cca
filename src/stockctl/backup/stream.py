"""A dump that is restored while it is decoded.

pg_restore's parallel jobs need a file in which they can seek, and so they begin when all of it is
decoded. Where nearly all rows are in one table a second job has nothing to do before the rows are
there. So there one pg_restore takes tables and rows from a pipe while the next block is decoded;
what comes after the rows (indexes, keys) is in the table of contents, and needs no more than that.
It is also the way where a decoded dump would have no room.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain

from stockctl.backup.archive import ArchiveReader, Contents
from stockctl.backup.dump import Dump, small_file
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.backup.verify import read
from stockctl.env.keys import Identities
from stockctl.system.host import Host
from stockctl.system.postgres import ClientTools


@dataclass(frozen=True, slots=True)
class Stream:
    """An archive of which only the table of contents was read. `blocks` are all of it, from its
    first byte; when they have come to their end, they were what the manifest says."""

    contents: Contents
    head: bytes
    blocks: Iterator[bytes]

    @contextmanager
    def table_of_contents(self, tools: ClientTools, host: Host) -> Iterator[Dump]:
        """That alone. Raises HostFailed, ToolFailed."""
        with small_file(tools, host, self.head) as file:
            yield Dump(file, self.contents)


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
