"""A schedule is tried before it is installed: does a backup find all that it needs, where nobody's
shell is around it? What only this shell has would be missing at night, and be found out then."""

from __future__ import annotations

import json
from typing import Any

from stockctl.backup.schedule import Job
from stockctl.core.command import Command
from stockctl.core.errors import Refused, ToolFailed
from stockctl.core.progress import Progress
from stockctl.deploy.timetable import Timetable
from stockctl.system.host import Host

_TIMEOUT_S = 300.0


def try_out(table: Timetable, job: Job, host: Host, progress: Progress) -> None:
    """Looks as the job would, then, where that fails, as we are here.

    Raises Refused for what it would lack there and has here. What fails here as well (a server
    that is down) may be well at the time of the job: that is a warning. Raises ToolFailed when
    nobody can look.
    """
    with progress.step("try it") as step:
        there = _wrong(host, table.trial(job))
        here = _wrong(host, Command(job.check())) if there else ""
        step.detail = "" if there else "it finds what a backup needs"
    if here:
        progress.warn(f"a backup would fail now, here as well:\n{here}")
    elif there:
        raise Refused(
            f"{table.what(job)} would fail, for what only this shell has",
            details=there,
            hint=table.way_out,
        )


def _wrong(host: Host, command: Command) -> str:
    """What did not pass; empty when all did."""
    done = host.run(command, timeout_s=_TIMEOUT_S, check=False)
    try:
        document = json.loads(done.stdout)
        if document["ok"]:
            return ""
        return "\n".join(_lines(document))
    except (ValueError, KeyError, TypeError):
        raise ToolFailed(
            "what is to be installed could not be tried", details=done.stderr or done.stdout
        ) from None


def _lines(document: dict[str, Any]) -> list[str]:
    error = document["error"]
    if error:
        found = [f"{each['message']}" for each in document["findings"]]
        return [part for part in (error["message"], error["details"], *found) if part]
    failed = [each for each in document["data"]["checks"] if not each["ok"]]
    return [f"{each['name']}: {each['detail']}" for each in failed]
