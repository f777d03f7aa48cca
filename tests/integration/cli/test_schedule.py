"""Debian's cron runs the installed line, with nothing but what cron gives a job."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.conftest import PROGRAM

# A spool, a pid file and system tables of its own: no cron of this machine is touched.
CRON = """
set -e
mount --make-rprivate /
for folder in /var/spool/cron/crontabs /etc/cron.d /run; do mount -t tmpfs tmpfs $folder; done
mount --bind /dev/null /etc/crontab
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
    assert crontab == shown.out
    assert crontab.count("backup create") == 1
    assert "is installed already" in said


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
