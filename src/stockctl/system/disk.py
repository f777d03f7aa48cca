"""How full the file system is that a folder is on."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.command import Command
from stockctl.core.errors import HostFailed
from stockctl.system.host import Host

DF_S = 20.0
BLOCK = 1024  # of `df -k`
# Before a first deploy the folder is not there yet: its place is.
_DF = (
    'while [ ! -e "$1" ]; do set -- "$(dirname "$1")"; done;'
    ' [ -w "$1" ] || echo read-only; exec df -Pk "$1"'
)


@dataclass(frozen=True, slots=True)
class Usage:
    """In bytes; `free` is what an ordinary user may still write, `total` that and what is used: so
    that the share is the one that df shows. `writable`: whether we may write into the folder, or
    make it."""

    total: int
    free: int
    writable: bool = True


def usage(host: Host, folder: Path) -> Usage:
    """Raises HostFailed, ToolFailed."""
    if host.engine is None:
        return _here(folder)
    # POSIX: the last line is `filesystem 1024-blocks used available capacity mounted-on`
    argv = ("sh", "-c", _DF, "sh", str(folder))
    told = host.run(Command(argv), timeout_s=DF_S).stdout
    fields = told.splitlines()[-1].split() if told.strip() else []
    numbers = [field for field in fields if field.isdigit()]
    if len(numbers) < 3:
        raise HostFailed(f"{host.name}: df says something that stockctl does not understand")
    writable = not told.startswith("read-only\n")
    return Usage((int(numbers[1]) + int(numbers[2])) * BLOCK, int(numbers[2]) * BLOCK, writable)


def _here(folder: Path) -> Usage:
    try:
        there = next(each for each in (folder, *folder.parents) if each.exists())
        found = shutil.disk_usage(there)
        return Usage(found.used + found.free, found.free, os.access(there, os.W_OK | os.X_OK))
    except OSError as error:
        raise HostFailed(f"cannot look at {folder}: {error.strerror}") from error
