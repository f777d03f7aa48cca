"""One backup that somebody has as files: fetched by hand, from another machine, from a disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stockctl.backup.catalog import list_backups, named
from stockctl.backup.manifest import Backup, parse_name
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.core.errors import UsageError
from stockctl.system.host import Holder

_ENDINGS = (".zst", ".age", ".json")


class FileSource(DirectoryStore):
    """Its folder is only read: there is nobody to lock out, and it may belong to somebody else."""

    @contextmanager
    def lock(self, _environment: str, _holder: Holder) -> Iterator[None]:
        yield


def is_file(which: str) -> bool:
    """Whether `--backup` names a file and not an id."""
    return "/" in which or which.endswith(_ENDINGS)


def open_file(which: str) -> tuple[FileSource, Backup]:
    """The folder as a source, and the backup in it. The manifest has to lie beside the file.
    Raises UsageError, BackupInvalid, StoreFailed."""
    path = Path(which).absolute()
    if not path.exists():
        raise UsageError(f"there is no file {path}")
    environment = path.name.partition(".")[0]
    parsed = parse_name(path.name, environment)
    if parsed is None:
        raise UsageError(
            f"{path.name} is not named like a backup of stockctl",
            hint="Keep the names of both files: ENVIRONMENT.ID.dump.zst[.age] and ENVIRONMENT.ID"
            ".json. For any other dump: docs/restore-without-stockctl.md.",
        )
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    source = FileSource(path.parent)
    manifest = f"{environment}.{parsed[0]}.json"
    if manifest not in source.names():
        raise UsageError(
            f"there is no {manifest} beside {path.name}",
            hint="It holds the sha256 and the rows: fetch it, too.",
        )
    return source, named(list_backups(source, environment), parsed[0])
