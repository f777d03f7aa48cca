"""Where a schedule is put: a person's crontab, or systemd's timers."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stockctl.backup.schedule import (
    Job,
    cron_check,
    cron_line,
    cron_variables,
    marker,
    units,
    with_line,
    without_line,
)
from stockctl.core.command import Command
from stockctl.core.errors import ToolFailed
from stockctl.core.secret import Secret
from stockctl.system.host import Host
from stockctl.system.program import bare

_TIMEOUT_S = 60.0
# crontab(5); systemd.exec(5), "Environment Variables Set or Propagated by the Service Manager".
_OF_CRON = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
_OF_SYSTEMD = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"}
_OF_A_USER = ("HOME", "LOGNAME", "USER", "SHELL", "XDG_RUNTIME_DIR")
_WAY_OUT = (
    "Put it where the job finds it: values of ${NAME} and AWS_… into the env file, a key for SSH"
    " into a file that asks for no passphrase, without an agent."
)
_ALL_USERS = Path("/etc/systemd/system")


class Timetable(Protocol):
    """Both are idempotent, and say whether anything changed."""

    def text(self, job: Job) -> str:
        """What would be installed."""

    def what(self, job: Job) -> str:
        """For messages."""

    def install(self, job: Job) -> bool:
        """Puts it in the place of an earlier one. Raises ToolFailed, ToolMissing, HostFailed."""

    def remove(self, job: Job) -> bool:
        """Fine when it is not there."""

    def trial(self, job: Job) -> Command:
        """`Job.check`, with what a job gets here and with nothing else."""

    @property
    def way_out(self) -> str:
        """What to do where that fails."""


@dataclass(frozen=True, slots=True)
class Crontab:
    """The crontab of whoever runs us, read and replaced as a whole by crontab(1)."""

    host: Host

    def text(self, job: Job) -> str:
        return f"{marker(job)}\n{cron_line(job)}\n"

    def what(self, job: Job) -> str:
        return f"the line of {job.environment} in your crontab"

    def install(self, job: Job) -> bool:
        return self._replace(self._read(), with_line(self._read(), job))

    def remove(self, job: Job) -> bool:
        return self._replace(self._read(), without_line(self._read(), job))

    def trial(self, job: Job) -> Command:
        """Also what the crontab itself sets, since our line is its last."""
        person = pwd.getpwuid(os.geteuid())
        given = {**_OF_CRON, "HOME": person.pw_dir, "LOGNAME": person.pw_name}
        given |= cron_variables(without_line(self._read(), job))
        return bare((given["SHELL"], "-c", cron_check(job)), given, Path("/"))

    way_out = _WAY_OUT

    def _read(self) -> str:
        """Empty where there is none: then it ends with 1, as it does for every failure."""
        done = self.host.run(Command(("crontab", "-l")), timeout_s=_TIMEOUT_S, check=False)
        if not done.ok and "no crontab for" not in done.stderr:
            raise ToolFailed("your crontab cannot be read", details=done.stderr)
        return done.stdout if done.ok else ""

    def _replace(self, old: str, new: str) -> bool:
        if new == old:
            return False
        self.host.run(Command(("crontab", "-"), input=Secret(new)), timeout_s=_TIMEOUT_S)
        return True


@dataclass(frozen=True, slots=True)
class SystemdTimers:
    """Units of the machine, or of the user who runs us."""

    host: Host
    root: bool

    def text(self, job: Job) -> str:
        return "\n".join(f"# {self._folder() / n}\n{text}" for n, text in units(job).items())

    def what(self, job: Job) -> str:
        return f"{job.name}.timer"

    def install(self, job: Job) -> bool:
        written = units(job)
        paths = {self._folder() / name: text.encode() for name, text in written.items()}
        if all(self.host.exists(p) and self.host.read(p) == text for p, text in paths.items()):
            return False
        for path, text in paths.items():
            self.host.write(path, text, 0o644)
        self._systemctl("daemon-reload")
        self._systemctl("enable", "--now", f"{job.name}.timer")
        return True

    def remove(self, job: Job) -> bool:
        paths = [self._folder() / f"{job.name}.{kind}" for kind in ("timer", "service")]
        if not any(map(self.host.exists, paths)):
            return False
        self._systemctl("disable", "--now", f"{job.name}.timer")
        for path in paths:
            self.host.remove(path)
        self._systemctl("daemon-reload")
        return True

    def trial(self, job: Job) -> Command:
        given = dict(_OF_SYSTEMD)
        if not self.root:
            given |= {name: os.environ[name] for name in _OF_A_USER if name in os.environ}
        return bare(job.check(), {**given, **job.variables}, Path("/"))

    way_out = _WAY_OUT

    def _folder(self) -> Path:
        return _ALL_USERS if self.root else Path.home() / ".config/systemd/user"

    def _systemctl(self, *arguments: str) -> None:
        scope = () if self.root else ("--user",)
        self.host.run(Command(("systemctl", *scope, *arguments)), timeout_s=_TIMEOUT_S)
