"""By which way a dump comes from the store into the copy. The store is read once by either."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from stockctl.backup.manifest import Backup
from stockctl.backup.room import Share, dump_share, fits
from stockctl.core.units import format_size
from stockctl.system.disk import Disk, disk_of
from stockctl.system.host import Host
from stockctl.system.inside import look_inside
from stockctl.system.postgres import Database

_MOST_JOBS = 4
# Decoding less takes no time, and it is good to know that all is well before anything is made.
_LEAST_BYTES = 64 << 20
_ONE_TABLE = 0.8  # of all rows


@dataclass(frozen=True, slots=True)
class Way:
    """`folder`: where the dump is decoded to first, beside pg_restore, so that `jobs` restore
    tables at once. None: rows go in while they are decoded, and jobs make what follows them.
    `why` is what keeps from decoding it first, where nothing else speaks against it. `written` is
    the decoded dump, where there will be one."""

    jobs: int
    folder: str | None = None
    why: str = ""
    written: tuple[Share, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where pg_restore runs; `folder` None where nothing can be written there, for `why`."""

    processors: int
    folder: str | None = None
    disk: Disk | None = None
    why: str = ""


def choose_way(
    backup: Backup,
    database: Database,
    host: Host,
    directory: Path,
    copy: Share,
    *others: Share,
    jobs: int | None = None,
    streamed: bool | None = None,
) -> Way:
    """`jobs` None: as many as there are processors, four at most. `streamed` None: where it is
    worth it, or where the decoded dump has no room besides `copy` and what else is written."""
    place = _look(database, host, directory, copy)
    jobs = jobs or min(_MOST_JOBS, place.processors)
    if streamed or (streamed is None and (jobs == 1 or worth_it(backup, jobs))):
        return Way(jobs)
    if place.folder is None:
        return Way(jobs, why=place.why)
    dump = dump_share(backup, place.folder, place.disk)
    if not fits(dump, copy, *others):
        free = format_size(place.disk.free_bytes if place.disk else 0)
        return Way(jobs, why=f"{free} free in {place.folder}, too little for the decoded dump")
    return Way(jobs, place.folder, written=(dump,))


def worth_it(backup: Backup, jobs: int) -> bool:
    """Whether rows that are restored while they are decoded come sooner than parallel jobs, by
    what the manifest says."""
    rows = [count for _table, count in backup.fingerprint]
    return (
        jobs > 1
        and (backup.dump_bytes or 0) >= _LEAST_BYTES
        and max(rows, default=0) >= sum(rows) * _ONE_TABLE
    )


def _look(database: Database, host: Host, directory: Path, copy: Share) -> _Place:
    if database.tools.prefix:
        inside = look_inside(host, database.tools.prefix, copy.folder)
        if (found := inside.temporary) is None:
            return _Place(inside.processors, why="the container has no folder for the decoded dump")
        # What is between (overlay2) has a number of its own, and df says the same of both.
        shared = copy.disk is not None and found.shares(inside.asked)
        of = copy.disk.id if copy.disk and shared else f"{host.name} {found.path}"
        return _Place(inside.processors, found.path, Disk(of, found.free))
    processors = os.cpu_count() or 1
    if host.engine is not None:
        return _Place(processors, why="the environment's folder is on another machine")
    return _Place(processors, str(directory), disk_of(host, directory, made=False))
