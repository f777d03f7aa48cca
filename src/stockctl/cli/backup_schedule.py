"""`stockctl backup schedule`."""

from __future__ import annotations

import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.backup import app
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.clock import SystemClock
from stockctl.core.errors import Terminated, UsageError
from stockctl.env.needs import BACKUP

if TYPE_CHECKING:
    from stockctl.backup.schedule import Job
    from stockctl.deploy.timetable import Timetable


class Via(Enum):
    """Who calls."""

    CRON = "cron"
    SYSTEMD = "systemd"
    COMPOSE = "compose"


@verb(
    app,
    "schedule",
    example="stockctl backup schedule prod\nstockctl backup schedule prod --via compose --install",
    exits=(3, 4, 6),
)
def schedule(
    session: Session,
    name: str,
    via: Annotated[Via, typer.Option("--via", help="Who calls at the time.")] = Via.CRON,
    install: Annotated[bool, typer.Option("--install", help="Put it in place.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take it away.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Show it, change nothing.")] = False,
    run: Annotated[
        bool, typer.Option("--run", help="Stay, wait for the times, make the backups.")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="With --run: make one at once, too.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Look whether a backup would find all it needs.")
    ] = False,
) -> Result:
    """Makes backups without anybody being there: at `backup.schedule`, then prunes.

    Default: --print. What it installs works as it stands, with the little that cron gives a job:
    --install tries that first, by --check, and refuses where only this shell has what it takes.
    Installed again, it replaces itself. Two never overlap. For cron it is a line of your crontab,
    for systemd a timer (of the machine for root, else of yours), for compose a container that is
    not root. --run is what runs in that container, and in any other place without a cron.
    """
    _check(install + remove + show + run + check, via, run or check, now and not run)
    opened = open_environment(session, name, needs=BACKUP)
    if check:
        return _look(session, opened)
    made = _job(session, name, opened.environment.backup.schedule)
    if run:
        return _stay(session, made, now)
    from stockctl.deploy.trial import try_out
    from stockctl.system.local import LocalHost

    table = _timetable(via, opened)
    text = table.text(made)
    if install:
        _prepare(via, opened)
        try_out(table, made, LocalHost(), session.progress())
        changed = table.install(made)
        done = f"installed for {made.calendar}" if changed else "is installed already"
    elif remove:
        changed = table.remove(made)
        done = "removed" if changed else "was not installed"
    else:
        session.output.line(text.rstrip("\n"))
        return Result({"schedule": {"via": via.value, "text": text, "changed": False}})
    session.output.line(f"{table.what(made)} {done}", style="green")
    return Result({"schedule": {"via": via.value, "text": text, "changed": changed}})


def _check(given: int, via: Via, here: bool, now: bool) -> None:
    if given > 1:
        raise UsageError("give one of --install, --remove, --print, --run, --check")
    if here and via is not Via.CRON:
        raise UsageError("--run and --check work where they are: without --via")
    if now:
        raise UsageError("--now belongs to --run")


def _look(session: Session, opened: Opened) -> Result:
    from stockctl.cli.doctor import embedded_check, show_report
    from stockctl.deploy.doctor import examine_for_backup

    with opened.site(looking=True) as site:
        return show_report(session, examine_for_backup(site, opened.store, embedded_check(opened)))


def _stay(session: Session, made: Job, now: bool) -> Result:
    from stockctl.deploy.timekeeper import keep_time
    from stockctl.system.local import LocalHost

    keep_time(made, LocalHost(), _Until(session), session.output.line, at_once=now)


class _Until(SystemClock):
    """Sleeps no more once a signal came."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def sleep(self, seconds: float) -> None:
        if self._session.ending.terminated:
            raise Terminated
        super().sleep(seconds)


def _prepare(via: Via, opened: Opened) -> None:
    if via is Via.COMPOSE:
        from stockctl.cli.backup_box import prepare

        prepare(opened)


def _job(session: Session, name: str, times: str | None) -> Job:
    from stockctl.backup.schedule import job

    program = Path(sys.argv[0]).absolute()
    if not os.access(program, os.X_OK) or program.suffix == ".py":
        program = Path(sys.executable).with_name("stockctl")
    return job(name, session.project().folder.parent.absolute(), program, times, os.environ)


def _timetable(via: Via, opened: Opened) -> Timetable:
    from stockctl.deploy.timetable import Crontab, SystemdTimers
    from stockctl.system.local import LocalHost

    if via is Via.COMPOSE:
        from stockctl.cli.backup_box import box, file
        from stockctl.deploy.timetable_compose import ComposeService

        return ComposeService(LocalHost(), file(opened), box(opened))

    if via is Via.CRON:
        return Crontab(LocalHost())
    return SystemdTimers(LocalHost(), root=os.geteuid() == 0)
