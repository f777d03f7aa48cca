"""Debian's cron runs the installed line, and systemd the installed units, with nothing but what
they give a job."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.conftest import PROGRAM, REPOSITORY, environment
from tests.remotes import ACCESS_KEY, SECRET_KEY, S3Server, missing, within

from stockctl.backup.schedule import job
from stockctl.deploy.timetable import Crontab
from stockctl.system.local import LocalHost

# A spool, a pid file and system tables of its own: no cron of this machine is touched.
CRON = """
set -e
mount --make-rprivate /
for folder in /var/spool/cron/crontabs /etc/cron.d /run; do mount -t tmpfs tmpfs $folder; done
mount --bind /dev/null /etc/crontab
echo "* * * * * env > '$2/given'" | crontab -
"$1" --root "$2" backup schedule local --install
"$1" --root "$2" backup schedule local --install
crontab -l > "$2/crontab"
exec cron -f
"""
DEADLINE_S = 150


def test_the_installed_line_makes_a_backup(stockctl: Any, project: Path) -> None:
    if os.geteuid() != 0 or shutil.which("cron") is None:
        assert not os.environ.get("CI"), "tests/testbed/backup.sh installs cron"
        pytest.skip("no cron that we may start: tests/testbed/backup.sh installs it")
    file = project / "environments" / "local.toml"
    file.write_text(file.read_text() + '\n[backup]\nschedule = "* * * * *"\n')
    shown = stockctl("backup", "schedule", "local")
    assert shown.code == 0, shown.err
    argv = ["unshare", "--mount", "sh", "-c", CRON, "sh", str(PROGRAM), str(project)]
    cron = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    store, deadline = project / ".stockctl" / "local" / "backups", time.monotonic() + DEADLINE_S
    try:
        while not list(store.glob("local.*Z-????.json")) and time.monotonic() < deadline:
            assert cron.poll() is None, cron.communicate()[0]
            time.sleep(0.5)
        assert list(store.glob("local.*Z-????.json")), (project / "crontab").read_text()
    finally:
        os.kill(cron.pid, signal.SIGTERM)
        said, _ = cron.communicate()
    crontab = (project / "crontab").read_text()
    assert crontab.endswith(f"\n{shown.out}")
    assert crontab.count("backup create") == 1
    assert "is installed already" in said
    _is_tried_with_what_cron_gives(project)


def _is_tried_with_what_cron_gives(project: Path) -> None:
    """But for what its shell sets, and the language that PAM takes from the machine."""
    lines = (project / "given").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if not line.startswith(("LC_", "LANG")))
    made = job("local", project, PROGRAM, "0 3 * * *", {})
    tried = Crontab(LocalHost()).trial(made).environment
    assert {**given, **tried} == given
    assert given.keys() - tried.keys() <= {"PWD", "OLDPWD", "SHLVL", "_"}


# Nobody's crontab but its own, whatever the code does.
ASIDE = """
mount --make-rprivate / && mount -t tmpfs tmpfs /var/spool/cron/crontabs || exit 99
[ -z "$2" ] || echo "$2" | crontab -
"$1" --root "$3" backup schedule local --install; code=$?
crontab -l; exit $code
"""


def installed(
    project: Path, crontab: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    argv = ["unshare", "--mount", "sh", "-c", ASIDE, "sh", str(PROGRAM), crontab, str(project)]
    env = environment(**variables)
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, env=env, check=False)


def test_what_only_this_shell_has_is_missed_before_it_is_installed(
    project: Path, s3: S3Server, tmp_path: Path
) -> None:
    if os.geteuid() != 0 or shutil.which("crontab") is None:
        missing("a crontab that we may hide", "backup.sh")
    file = project / "environments" / "local.toml"
    bare = file.read_text() + '\n[backup]\nschedule = "0 3 * * *"\n'
    file.write_text(bare + 'ping = "${PING_URL}"\n')
    url = "http://127.0.0.1:9/x"
    refused = installed(project, PING_URL=url)
    assert refused.returncode == 4, refused.stderr
    assert "PING_URL" in refused.stderr
    assert "env file" in refused.stderr
    assert "no crontab for" in refused.stderr
    set_there = installed(project, f'PING_URL = "{url}"', PING_URL=url)
    assert set_there.returncode == 0, set_there.stderr
    assert "backup create" in set_there.stdout

    store = f'store = "s3://backups/{tmp_path.name}"\nendpoint = "{s3.endpoint}"\n'
    file.write_text(f'{bare}{store}plaintext = "nothing but a test"\n')
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    refused = installed(project, **keys)
    assert refused.returncode == 4, refused.stderr
    assert "backup store: " in refused.stderr
    assert SECRET_KEY not in refused.stderr + refused.stdout
    assert "no crontab for" in refused.stderr
    nowhere = installed(project)  # it is not the surroundings: nobody has a key
    assert nowhere.returncode == 0, nowhere.stderr
    assert "would fail now, here as well" in nowhere.stderr


def test_the_line_says_nothing_when_all_is_well(stockctl: Any, project: Path) -> None:
    """Cron would send a mail of every word."""
    file = project / "environments" / "local.toml"
    table = '\n[backup]\nschedule = "0 3 * * *"\nminimum = 1\nkeep = { last = 1 }\n'
    file.write_text(file.read_text() + table)
    line = stockctl("backup", "schedule", "local").out.splitlines()[-1]
    command = line.split(None, 5)[5]
    for _ in range(2):
        ran = subprocess.run(
            ["env", "-i", "/bin/sh", "-c", command], capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    kept = list((project / ".stockctl" / "local" / "backups").glob("local.*Z-????.json"))
    assert len(kept) == 1


SYSTEMD = "/lib/systemd/systemd"
UNIT = "stockctl-backup-project-local"


@contextmanager
def systemd(project: Path) -> Iterator[list[str]]:
    """argv that enters the namespaces in which it is process 1; see systemd.sh."""
    group = Path(f"/sys/fs/cgroup/systemd/stockctl-tests-{os.getpid()}")
    if (Path("/sys/fs/cgroup") / "cgroup.controllers").exists():
        group = Path("/sys/fs/cgroup") / group.name
    group.mkdir()
    spaces = ("--mount", "--pid", "--cgroup", "--uts", "--ipc", "--fork", "--kill-child")
    start = f'echo $$ > "{group}/cgroup.procs"; exec setpriv --pdeathsig KILL unshare "$@"'
    script = Path(__file__).with_name("systemd.sh")
    process = subprocess.Popen(
        ["sh", "-c", start, "sh", *spaces, "sh", script, REPOSITORY, project],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        assert within(20, lambda: _is_systemd(children.read_text())), process.stdout
        pid = children.read_text().strip()
        enter = ["nsenter", "-t", pid, "--mount", "--pid", "--cgroup", "--uts", "--ipc"]
        assert within(20, lambda: subprocess.run([*enter, *_TARGET], **quiet).returncode == 0)
        yield enter
    finally:
        process.kill()
        process.communicate()
        assert within(20, lambda: not (group / "cgroup.procs").read_text())
        for folder in sorted(group.rglob("*/"), reverse=True):
            folder.rmdir()
        group.rmdir()


_TARGET = ("systemctl", "is-active", "--quiet", "timers.target")


def _is_systemd(pid: str) -> bool:
    return bool(pid.strip()) and Path(f"/proc/{pid.strip()}/comm").read_text() == "systemd\n"


def test_systemd_runs_the_installed_units(stockctl: Any, project: Path) -> None:
    if os.geteuid() != 0 or not Path(SYSTEMD).exists():
        missing("systemd that we may start", "backup.sh")
    file = project / "environments" / "local.toml"
    file.write_text(file.read_text() + '\n[backup]\nschedule = "0 3 * * *"\n')
    store = project / ".stockctl" / "local" / "backups"
    call = [str(PROGRAM), "--root", str(project), "backup", "schedule", "local", "--via", "systemd"]

    assert stockctl("backup", "create", "local").code == 0  # makes the server, and its user

    with systemd(project) as enter:

        def run(*argv: str) -> str:
            done = subprocess.run(
                [*enter, *argv], capture_output=True, text=True, timeout=60, env=environment()
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        sound = file.read_text()
        file.write_text(f'{sound}ping = "${{PING_URL}}"\n')
        lacking = ["env", "PING_URL=http://127.0.0.1:9/", *call, "--install"]
        refused = subprocess.run([*enter, *lacking], capture_output=True, text=True, timeout=60)
        assert refused.returncode == 4, refused.stderr
        assert "PING_URL" in refused.stderr
        assert UNIT not in run("ls", "/etc/systemd/system")
        file.write_text(sound)
        assert "installed for 0 3 * * *" in run(*call, "--install")
        units = [f"/etc/systemd/system/{UNIT}.{kind}" for kind in ("service", "timer")]
        run("systemd-analyze", "verify", *units)
        # It missed its time, so it works at once; then the prune, and no second run.
        said = "Result", "ExecMainStatus", "ActiveState"
        show = ("systemctl", "show", f"{UNIT}.service", *(f"-p{each}" for each in said))
        assert within(60, lambda: len(list(store.glob("local.*Z-????.json"))) == 2), run(*show)
        assert within(60, lambda: "ActiveState=inactive" in run(*show))
        assert sorted(run(*show).split()) == [
            "ActiveState=inactive",
            "ExecMainStatus=0",
            "Result=success",
        ]
        assert "03:00:00" in run("systemctl", "list-timers", f"{UNIT}.timer", "--no-pager")
        assert "is installed already" in run(*call, "--install")
        run("systemctl", "start", f"{UNIT}.service")
        assert len(list(store.glob("local.*Z-????.json"))) == 3
        assert "removed" in run(*call, "--remove")
        assert UNIT not in run("systemctl", "list-timers", "--all", "--no-pager")
        assert run("ls", "/etc/systemd/system").split() == [
            "basic.target",
            "network-online.target",
            "shutdown.target",
            "sysinit.target",
            "timers.target",
        ]
    listed = stockctl("backup", "list", "local", "--json").document["data"]["backups"]
    assert len(listed) == 3


def test_systemd_reads_the_units(stockctl: Any, project: Path) -> None:
    file = project / "environments" / "local.toml"
    file.write_text(file.read_text() + '\n[backup]\nschedule = "30 3 * * 1"\n')
    done = stockctl("backup", "schedule", "local", "--via", "systemd", "--json")
    text = done.document["data"]["schedule"]["text"]
    assert "OnCalendar=Mon *-*-* 03:30:00" in text
    assert done.document["data"]["schedule"]["changed"] is False
    assert stockctl("backup", "schedule", "local", "--install", "--remove").code == 2
    file.write_text(file.read_text().replace("30 3 * * 1", "30 25 * * 1"))
    wrong = stockctl("backup", "schedule", "local")
    assert wrong.code == 3
    assert "hour: '25' is not within 0 to 23" in wrong.err
