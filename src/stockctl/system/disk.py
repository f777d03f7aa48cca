"""How full the file system is that a folder is on."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.command import Command
from stockctl.core.errors import HostFailed, ToolFailed
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


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system. `id` is the same for all that is on it, also in containers of the machine:
    its device number, with the machine and its size, since two kernels may use the same number.
    `free_bytes` is what an ordinary user may still write."""

    id: str
    free_bytes: int


def disk_of(host: Host, folder: Path, *, made: bool = True) -> Disk | None:
    """The one that a folder is on. With `made=False` the folder may be made yet, and the nearest
    that is there is asked. None where nobody can tell."""
    if host.engine is None:
        return _disk_here(host, folder, made=made)
    return _asked(host, (), str(folder), up=not made)


def disk_inside(host: Host, prefix: tuple[str, ...], folder: str) -> Disk | None:
    """The same in a container, which the argv `prefix` enters. Where `folder` is empty, that of
    its PGDATA (https://hub.docker.com/_/postgres)."""
    return _asked(host, prefix, folder)


_DISK = (
    'f=${1:-$PGDATA}; [ -n "$f" ] || exit 1;'
    ' while [ "$2" ] && [ ! -e "$f" ]; do f=$(dirname "$f"); done;'
    ' df -Pk "$f" && stat -L -c %d "$f"'
)


def _asked(host: Host, prefix: tuple[str, ...], folder: str, *, up: bool = False) -> Disk | None:
    command = Command((*prefix, "sh", "-c", _DISK, "sh", folder, "up" if up else ""))
    try:
        said = host.run(command, timeout_s=DF_S, check=False)
    except ToolFailed:
        return None
    lines = said.stdout.splitlines()
    numbers = [each for each in lines[-2].split() if each.isdigit()] if len(lines) > 2 else []
    if not said.ok or len(numbers) < 3:
        return None
    return Disk(f"{host.name} {lines[-1]} {numbers[0]}", int(numbers[2]) * BLOCK)


def _disk_here(host: Host, folder: Path, *, made: bool) -> Disk | None:
    places = (folder,) if made else (folder, *folder.parents)
    try:
        there = next((each for each in places if each.exists()), None)
        if there is None:
            return None
        found, device = shutil.disk_usage(there), there.stat().st_dev
    except OSError:
        return None
    return Disk(f"{host.name} {device} {found.total // BLOCK}", found.free)
