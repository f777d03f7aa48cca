"""A decoded dump in a file that has no name, for pg_restore's parallel jobs.

They need a file in which they can seek. It lies beside pg_restore: on this machine, or in the
database's container.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from stockctl.backup.archive import ArchiveReader, Contents
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.backup.verify import read
from stockctl.core.progress import Step
from stockctl.core.units import format_size
from stockctl.env.keys import Identities
from stockctl.system.host import Host
from stockctl.system.postgres import ClientTools
from stockctl.system.private_file import PrivateFile, in_container, in_memory, on_disk

_SMALL = "/tmp"  # of a container, for some KB


@dataclass(frozen=True, slots=True)
class Dump:
    """An archive, or only its table of contents, as a file that several can open."""

    file: PrivateFile
    contents: Contents


@contextmanager
def decoded(
    backup: Backup,
    store: Store,
    identities: Identities | None,
    folder: str,
    tools: ClientTools,
    host: Host,
    step: Step,
) -> Iterator[Dump]:
    """All of it is what the manifest says. Raises BackupInvalid, HostFailed for a full disk,
    ToolFailed for a container, what a Store raises."""
    archive, done = ArchiveReader(count_rows=False), 0

    def passing() -> Iterator[bytes]:
        nonlocal done
        for block in read(backup, store, identities):
            archive.feed(block)
            yield block
            done += len(block)
            step.transferred(done, backup.dump_bytes or backup.database_bytes)

    with _large(tools, host, folder) as file:
        size = file.write(passing())
        step.detail = f"{format_size(size)}, size and sha256 are those of the manifest"
        yield Dump(file, archive.close())


@contextmanager
def small_file(tools: ClientTools, host: Host, data: bytes) -> Iterator[PrivateFile]:
    """For what fits into memory. Raises HostFailed, ToolFailed."""
    with in_container(host, tools.prefix, _SMALL) if tools.prefix else in_memory() as file:
        file.write((data,))
        yield file


def _large(tools: ClientTools, host: Host, folder: str) -> AbstractContextManager[PrivateFile]:
    return in_container(host, tools.prefix, folder) if tools.prefix else on_disk(Path(folder))
