"""How full the file system is that a folder is on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.command import Command
from stockctl.core.errors import HostFailed
from stockctl.system.host import Host

DF_S = 20.0
BLOCK = 1024  # of `df -k`
# Before a first deploy the folder is not there yet: its place is.
_DF = 'while [ ! -e "$1" ]; do set -- "$(dirname "$1")"; done; exec df -Pk "$1"'


@dataclass(frozen=True, slots=True)
class Usage:
    """In bytes; `free` is what an ordinary user may still write."""

    total: int
    free: int


def usage(host: Host, folder: Path) -> Usage:
    """Raises OSError on this machine, HostFailed or ToolFailed on another."""
    if host.engine is None:
        found = shutil.disk_usage(folder)
        return Usage(found.total, found.free)
    # POSIX: the last line is `filesystem 1024-blocks used available capacity mounted-on`
    argv = ("sh", "-c", _DF, "sh", str(folder))
    told = host.run(Command(argv), timeout_s=DF_S).stdout
    fields = told.splitlines()[-1].split() if told.strip() else []
    numbers = [field for field in fields if field.isdigit()]
    if len(numbers) < 3:
        raise HostFailed(f"{host.name}: df says something that stockctl does not understand")
    return Usage(int(numbers[0]) * BLOCK, int(numbers[2]) * BLOCK)
