"""By which way a dump comes from the store into the copy. The store is read once by either."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from stockctl.backup.manifest import Backup
from stockctl.backup.preflight import Room
from stockctl.core.units import format_size
from stockctl.system.host import Host
from stockctl.system.inside import look_inside
from stockctl.system.postgres import Database

_MOST_JOBS = 4
_SLACK = 1.05
# Decoding less takes no time, and it is good to know that all is well before anything is made.
_LEAST_BYTES = 64 << 20
_ONE_TABLE = 0.8  # of all rows


@dataclass(frozen=True, slots=True)
class Way:
    """`folder`: where the dump is decoded to first, beside pg_restore, so that `jobs` restore
    tables at once. None: rows go in while they are decoded, and jobs make what follows them.
    `why` is what keeps from decoding it first, where nothing else speaks against it."""

    jobs: int
    folder: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where pg_restore runs; `folder` None where nothing can be written there, for `why`."""

    processors: int
    folder: str | None = None
    free_bytes: int = 0
    with_copy: bool = False  # on the disk that the copy goes to
    why: str = ""


def choose_way(
    backup: Backup,
    database: Database,
    host: Host,
    directory: Path,
    room: Room,
    *,
    jobs: int | None = None,
    streamed: bool | None = None,
) -> Way:
    """`jobs` None: as many as there are processors, four at most. `streamed` None: where it is
    worth it, or where the decoded dump has no room. `room` is the server's."""
    place = _look(database, host, directory, room)
    jobs = jobs or min(_MOST_JOBS, place.processors)
    if streamed or (streamed is None and (jobs == 1 or worth_it(backup, jobs))):
        return Way(jobs)
    size = (backup.dump_bytes or backup.database_bytes) * _SLACK
    needed = size + (backup.database_bytes if place.with_copy else 0)
    if place.folder is None:
        return Way(jobs, why=place.why)
    if place.free_bytes < needed:
        free = format_size(place.free_bytes)
        return Way(jobs, why=f"{free} free in {place.folder}, too little for the decoded dump")
    return Way(jobs, place.folder)


def worth_it(backup: Backup, jobs: int) -> bool:
    """Whether rows that are restored while they are decoded come sooner than parallel jobs, by
    what the manifest says."""
    rows = [count for _table, count in backup.fingerprint]
    return (
        jobs > 1
        and (backup.dump_bytes or 0) >= _LEAST_BYTES
        and max(rows, default=0) >= sum(rows) * _ONE_TABLE
    )


def _look(database: Database, host: Host, directory: Path, room: Room) -> _Place:
    if database.tools.prefix:
        inside = look_inside(host, database.tools.prefix, room.folder)
        if (found := inside.temporary) is None:
            return _Place(inside.processors, why="the container has no folder for the decoded dump")
        shared = found.shares(inside.asked)
        return _Place(inside.processors, found.path, found.free, with_copy=shared)
    processors = os.cpu_count() or 1
    if host.engine is not None:
        return _Place(processors, why="the environment's folder is on another machine")
    there = next(each for each in (directory, *directory.parents) if each.exists())
    shared = room.free_bytes is not None and _device(Path(room.folder)) == _device(there)
    return _Place(processors, str(directory), shutil.disk_usage(there).free, with_copy=shared)


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:  # closed to us
        return None
