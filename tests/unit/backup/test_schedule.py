"""What is written for cron and systemd: all that a job needs, once, and nobody else's lines."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from stockctl.backup.schedule import (
    Job,
    cron_line,
    cron_variables,
    job,
    units,
    with_line,
    without_line,
)
from stockctl.core.calendar import Calendar
from stockctl.core.errors import ConfigurationError

JOB = Job(
    "prod",
    Path("/srv/it's 100% ours"),
    Path("/opt/stock ctl/bin/stockctl"),
    Calendar.parse("0 3 * * *"),
    {"PATH": "/usr/bin:/bin", "HOME": "/root"},
)
OTHERS = "MAILTO=anna\n# a comment\n5 4 * * * /usr/local/bin/else --percent \\%\n"


def test_the_shell_reads_back_what_was_meant() -> None:
    line = cron_line(JOB)
    assert line.count("%") == line.count("\\%")
    command = line.removeprefix("0 3 * * * ").replace("\\%", "%")
    words = shlex.split(command)
    assert words[:4] == ["export", "PATH=/usr/bin:/bin", "HOME=/root;", str(JOB.program)]
    assert words[words.index("--root") + 1] == str(JOB.root)
    assert words[-5:] == ["backup", "prune", "prod", "--confirm", "prod"]


def test_once_however_often_it_is_installed() -> None:
    first = with_line(OTHERS, JOB)
    assert first.startswith(OTHERS)
    assert with_line(first, JOB) == first
    later = replace(JOB, calendar=Calendar.parse("30 4 * * *"))
    assert with_line(first, later).count("stockctl backup schedule prod") == 1
    staging = replace(JOB, environment="staging")
    both = with_line(first, staging)
    assert without_line(both, JOB) == with_line(OTHERS, staging)
    assert without_line(first, JOB) == OTHERS
    assert without_line("", JOB) == ""


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("A=b", {"A": "b"}),
        ("  A = b c ", {"A": "b c"}),
        ("\"A B\"='x'", {}),
        ("'A'=\" b \"", {"A": " b "}),
        ("A=", {"A": ""}),
        ("* * * * * A=b true", {}),
        ("@daily A=b true", {}),
        ("# A=b", {}),
    ],
)
def test_variables_of_a_crontab(line: str, found: dict[str, str]) -> None:
    assert cron_variables(line) == found


def test_units_that_systemd_takes(tmp_path: Path) -> None:
    simple = replace(JOB, root=Path("/srv/app$1"), program=Path("/bin/true"))
    for name, text in units(simple).items():
        (tmp_path / name).write_text(text)
    timer, service = sorted(tmp_path.iterdir(), reverse=True)
    assert "OnCalendar=*-*-* 03:00:00\n" in timer.read_text()
    assert "$$1" in service.read_text()
    assert '"PATH=/usr/bin:/bin"' in service.read_text()
    assert service.read_text().count("ExecStart=") == 2


def test_where_there_is_no_time() -> None:
    with pytest.raises(ConfigurationError, match=r"no backup\.schedule"):
        job("prod", Path("/srv"), Path("/bin/stockctl"), None, {})
    with pytest.raises(ConfigurationError, match="cannot hold"):
        job("prod", Path("/srv\n"), Path("/bin/stockctl"), "0 3 * * *", {})


def test_only_what_a_job_needs_is_handed_on() -> None:
    environ = {"PATH": "/bin", "POSTGRES_PASSWORD": "secret", "HOME": "/root"}
    made = job("prod", Path("/srv"), Path("/bin/stockctl"), "0 3 * * *", environ)
    assert dict(made.variables) == {"PATH": "/bin", "HOME": "/root"}


def test_the_line_runs_in_the_shell_that_cron_uses(tmp_path: Path) -> None:
    program = tmp_path / "it's a program"
    program.write_text('#!/bin/sh\necho "$HOME $*" >> "$(dirname "$0")/said"\n')
    program.chmod(0o755)
    made = replace(JOB, program=program, variables={"PATH": "/usr/bin:/bin", "HOME": "/h o"})
    command = cron_line(made).removeprefix("0 3 * * * ").replace("\\%", "%")
    subprocess.run(["/bin/sh", "-c", command], check=True, env={"PATH": "/usr/bin:/bin"})
    said = (tmp_path / "said").read_text().splitlines()
    start = f"/h o --root {JOB.root} -q --no-input backup"
    assert said == [f"{start} create prod", f"{start} prune prod --confirm prod"]
