"""Disk, lock, and the last things that happened."""

from __future__ import annotations

from collections.abc import Sequence

from stockctl.core.journal import Operation
from stockctl.core.units import format_instant, format_size
from stockctl.deploy.freeze import frozen
from stockctl.deploy.overview.part import DISK, TIDY, Advice, Level, Part
from stockctl.deploy.site import Site
from stockctl.system.disk import usage

FULL, FULLER = 0.80, 0.92  # the plan's alert, and where a backup may no longer fit
LAST = 3


def disk_part(site: Site) -> Part:
    """Where releases, backups and mostly the database live. Raises HostFailed, ToolFailed."""
    name = site.environment.name
    found = usage(site.host, site.directory)
    share = 1 - found.free / found.total
    said = f"{share:.0%} used, {format_size(found.free)} free"
    data = {"total_bytes": found.total, "free_bytes": found.free, "writable": found.writable}
    if not found.writable:
        wrong = f"{site.directory} cannot be written: nothing can be deployed or recorded"
        doctor = Advice(DISK, f"stockctl doctor {name}", wrong)
        return Part("disk", Level.BAD, (wrong, said), data, (doctor,))
    if share <= FULL:
        return Part("disk", Level.GOOD, (said,), data)
    level = Level.BAD if share > FULLER else Level.NOTICE
    advice = Advice(
        DISK, f"stockctl backup prune {name} --plan", f"the disk is {share:.0%} full", level
    )
    return Part("disk", level, (said,), data, (advice,))


def lock_part(site: Site) -> Part:
    """Who is at work, and whether deploys are frozen."""
    name = site.environment.name
    holder, no = site.host.holder(site.lock_file), frozen(site.journal)
    data = {"locked_by": holder, "frozen": no.to_json() if no else None}
    if holder:
        return Part("lock", Level.NOTICE, (f"held by {holder}",), data)
    if no:
        advice = Advice(TIDY, f"stockctl deploy unlock {name}", f"deploys are {no}", Level.NOTICE)
        return Part("lock", Level.NOTICE, (str(no),), data, (advice,))
    return Part("lock", Level.GOOD, ("free",), data)


def last_part(site: Site) -> Part:
    """The newest entries of the journal. One without an end is at work, or died."""
    found = site.journal.operations()[::-1][:LAST]
    busy = site.host.holder(site.lock_file) is not None
    said = tuple(f"{each.started.at:%Y-%m-%d %H:%M}  {_line(each, busy)}" for each in found)
    return Part("last", Level.GOOD, said or ("nothing yet",), {"last": _data(found)})


def _line(operation: Operation, busy: bool) -> str:
    outcome = operation.outcome
    if outcome == "unfinished" and busy:
        outcome = "running"
    detail = operation.ended.detail.partition("\n")[0] if operation.ended else ""
    shown = f"{operation.started.command}  {outcome}  by {operation.started.who}"
    return f"{shown}  {detail}".rstrip()


def _data(operations: Sequence[Operation]) -> list[dict[str, object]]:
    return [
        {
            "at": format_instant(each.started.at),
            "command": each.started.command,
            "outcome": each.outcome,
            "who": each.started.who,
            "detail": each.ended.detail if each.ended else "",
        }
        for each in operations
    ]
