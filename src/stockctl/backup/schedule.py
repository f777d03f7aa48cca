"""Lines and units that make backups without anybody being there. Pure text: nothing is run here.

Cron gives a job almost nothing: `PATH=/usr/bin:/bin`, no terminal, `/bin/sh`, and `%` is a line
break (crontab(5)). So all that a job needs stands in it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.calendar import Calendar
from stockctl.core.errors import ConfigurationError

# What a job would miss: where tools and keys are. Values of secrets come from the env file.
HANDED_ON = ("PATH", "HOME", "DOCKER_HOST", "STOCKCTL_IDENTITY_FILE", "XDG_CONFIG_HOME")
_SETTING = re.compile(r"""\s*(["']?)(?P<name>[A-Za-z_]\w*)\1\s*=(?P<value>.*)""")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Job:
    """A backup, and what the rules of retention then let go, at the times of `calendar`."""

    environment: str
    root: Path
    program: Path
    calendar: Calendar
    variables: Mapping[str, str]

    @property
    def name(self) -> str:
        """For units: the environment and the project it belongs to."""
        return _UNSAFE.sub("-", f"stockctl-backup-{self.root.name}-{self.environment}")

    def commands(self) -> tuple[tuple[str, ...], ...]:
        """One after the other; the second only when the first went well."""
        start = (str(self.program), "--root", str(self.root), "-q", "--no-input", "backup")
        name = self.environment
        return ((*start, "create", name), (*start, "prune", name, "--confirm", name))

    def check(self) -> tuple[str, ...]:
        """Only looks whether they would find what they need."""
        return (str(self.program), "--root", str(self.root), *self.checking)

    @property
    def checking(self) -> tuple[str, ...]:
        """What of it comes after the project."""
        verb = ("backup", "schedule", self.environment, "--check")
        return ("--json", "--no-input", *verb)


def job(
    environment: str, root: Path, program: Path, schedule: str | None, environ: Mapping[str, str]
) -> Job:
    """Raises ConfigurationError where there is no time, or what is needed cannot be written."""
    if schedule is None:
        raise ConfigurationError(
            f"{environment} has no backup.schedule",
            hint='For example: schedule = "0 3 * * *" under [backup]: every night at three.',
        )
    variables = {name: environ[name] for name in HANDED_ON if environ.get(name)}
    for text in (str(root), str(program), *variables.values()):
        if not text.isprintable():
            raise ConfigurationError(f"a line of a schedule cannot hold {text!r}")
    return Job(environment, root, program, Calendar.parse(schedule), variables)


def marker(job: Job) -> str:
    """The comment before our line: by it we know it again."""
    return f"# stockctl backup schedule {job.environment} ({job.root})"


def cron_line(job: Job) -> str:
    """The times and one shell command; two never overlap, since both take the backup lock."""
    work = _exporting(job, " && ".join(shlex.join(command) for command in job.commands()))
    return f"{job.calendar} {work}".replace("%", r"\%")


def cron_check(job: Job) -> str:
    """For the shell: what looks as that line would, with the same variables."""
    return _exporting(job, shlex.join(job.check()))


def _exporting(job: Job, work: str) -> str:
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in job.variables.items())
    return f"export {variables}; {work}" if variables else work


def cron_variables(crontab: str) -> dict[str, str]:
    """What the lines `NAME=value` of a crontab set for the jobs below them (crontab(5))."""
    found = (_SETTING.fullmatch(line) for line in crontab.splitlines())
    return {each["name"]: _unquoted(each["value"].strip()) for each in found if each}


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def with_line(crontab: str, job: Job) -> str:
    """A crontab that has our line once, at the end; nobody else's is touched."""
    return f"{without_line(crontab, job)}{marker(job)}\n{cron_line(job)}\n"


def without_line(crontab: str, job: Job) -> str:
    """A crontab that has it not at all."""
    lines, kept, ours = crontab.splitlines(), [], False
    for line in lines:
        if line == marker(job):
            ours = True
        elif ours:
            ours = False
        else:
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)


def units(job: Job) -> dict[str, str]:
    """Name and content of a service and its timer (systemd.service(5), systemd.timer(5)). A
    oneshot service that runs is not started again: no overlap."""
    variables = "".join(
        f"Environment={_unit_word(f'{name}={value}')}\n" for name, value in job.variables.items()
    )
    starts = "".join(
        f"ExecStart={' '.join(map(_unit_word, command))}\n" for command in job.commands()
    )
    try:
        times = job.calendar.on_calendar()
    except ValueError as error:
        raise ConfigurationError(f"backup.schedule: {error}") from None
    return {
        f"{job.name}.service": f"[Unit]\nDescription=Backup of {job.environment}\n"
        f"Wants=network-online.target\nAfter=network-online.target\n\n[Service]\nType=oneshot\n{variables}{starts}",
        f"{job.name}.timer": f"[Unit]\nDescription=Backup of {job.environment}\n\n[Timer]\n"
        f"OnCalendar={times}\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n",
    }


def _unit_word(text: str) -> str:
    """One word of a unit: `%` is a specifier and `$` a variable there (systemd.service(5))."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
