"""`stockctl db shell` where the database is a service of a compose project."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stockctl.core.command import Command
from stockctl.system import compose
from stockctl.system.local import LocalHost
from tests.terminal import LIMIT_S, STOCKCTL, Terminal


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="stockctl-tests-") as folder:
        (Path(folder) / "environments").mkdir()
        yield Path(folder)


def argv_of_all() -> str:
    """What every user of this machine can read."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_text(errors="replace"))
        except OSError:
            continue  # it has ended
    return "".join(found)


def test_inside_the_container_of_the_database(root: Path) -> None:
    project = f"shell{os.getpid()}-one"
    password = "c4n4ry7f3a91x"
    file = root / "compose.yaml"
    file.write_text(
        "services:\n  postgres:\n    image: stockctl-testbed/postgres:15\n"
        f"    environment: {{POSTGRES_PASSWORD: {password}, POSTGRES_USER: app}}\n"
        "    labels: {stockctl.testbed: '1'}\n"
    )
    (root / "environments" / "one.toml").write_text(
        f'[service]\nname = "shell{os.getpid()}"\ncompose = ["../compose.yaml"]\n'
        'release = ["app"]\nweb = "app"\nport = 1\nimage = "x"\nurl = "http://127.0.0.1:1"\n'
        "[database]\n"
        f'url = "postgresql://app:{password}@127.0.0.1:1/app"\nservice = "postgres"\n'
    )
    run = ["docker", "compose", "-p", project, "-f", file]
    subprocess.run([*run, "up", "-d", "--wait", "--quiet-pull"], check=True, capture_output=True)
    try:
        text = "SELECT current_user, 6 * 7;\n\\! echo $PSQL_HISTORY\n\\! cat /proc/[0-9]*/cmdline\n"
        done = subprocess.run(
            [STOCKCTL, "--root", root, "db", "shell", "one"],
            input=text,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "app          |       42" in done.stdout
        assert "/dev/null" in done.stdout
        assert "ON_ERROR_STOP" in done.stdout  # that is psql's own argv
        assert password not in done.stdout
        terminal = Terminal(root, "db", "shell", "one")
        terminal.expect("one:app=# ")
        terminal.type("SELECT pg_sleep(60);\n")
        time.sleep(0.5)
        assert password not in argv_of_all()
        terminal.type("\x03")
        terminal.expect("canceling statement due to user request")
        assert terminal.leave() == 0
        missing = (*compose.enter(project, "postgres"), "sh", "-c", "ls ~/.psql_history")
        assert not LocalHost().run(Command(missing), timeout_s=LIMIT_S, check=False).ok
    finally:
        subprocess.run([*run, "down", "-v", "-t", "1"], check=True, capture_output=True)
