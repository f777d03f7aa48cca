"""`stockctl db shell` on a terminal and in a pipe; in a container: tests/e2e."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import scratch
from tests.terminal import Terminal

from stockctl.core.command import Command
from stockctl.core.errors import ToolMissing
from stockctl.system.foreground import foreground

STOCKCTL = Path(sys.executable).with_name("stockctl")
LIMIT_S = 60.0


@pytest.fixture
def root() -> Iterator[Path]:
    with scratch("tests") as folder:
        environments = folder / "environments"
        environments.mkdir()
        (environments / "one.toml").write_text("[database]\nembedded = true\n")
        yield folder


def pipe(root: Path, text: str, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [STOCKCTL, "--root", root, "db", "shell", "one", *more],
        input=text,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**os.environ, "HOME": str(root), **env},
        check=False,
    )


def test_what_is_piped_in_is_run(root: Path) -> None:
    done = pipe(root, "SELECT 6 * 7 AS answer, current_setting('application_name') AS who;\n")
    assert done.returncode == 0, done.stderr
    assert "42 | stockctl" in done.stdout
    assert done.stderr == ""
    journal = (root / ".stockctl" / "one" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["command"] for line in journal] == ["db shell", "db shell"]


def test_until_the_first_error(root: Path) -> None:
    done = pipe(root, "SELECT 1/0;\nSELECT 'never';\n")
    assert done.returncode == 7
    assert "division by zero" in done.stderr
    assert "never" not in done.stdout


def test_a_protected_one_asks(root: Path) -> None:
    (root / "environments" / "one.toml").write_text("protected = true\n[database]\nembedded = true")
    refused = pipe(root, "SELECT 1;")
    assert refused.returncode == 4
    assert "--confirm one" in refused.stderr
    assert not (root / ".stockctl" / "one" / "postgres").exists()
    assert pipe(root, "SELECT 1;", "--confirm", "one").returncode == 0
    terminal = Terminal(root, "db", "shell", "one")
    terminal.expect("Type one to go on")
    terminal.type("one\n")
    terminal.expect("one:stockctl=# ")
    assert terminal.leave() == 0


def test_a_person_on_a_terminal(root: Path) -> None:
    terminal = Terminal(root, "db", "shell", "one")
    terminal.expect("one:stockctl=# ")
    terminal.type("SELECT 6 * 7 AS answer;\n")
    terminal.expect("42")
    terminal.expect("one:stockctl=# ")
    terminal.type("ALTER ROLE postgres PASSWORD 'c4n4ry7f3a91x';\n")
    terminal.expect("ALTER ROLE")
    terminal.type("SELECT pg_sleep(60);\n")
    time.sleep(0.5)
    terminal.type("\x03")
    terminal.expect("canceling statement due to user request")  # psql is still there
    terminal.type("\\! tty; stty size\n")
    terminal.expect("/dev/pts/")
    assert terminal.leave() == 0
    held = [file for file in root.rglob("*") if file.is_file() and "postgres" not in file.parts]
    assert all(b"c4n4ry7f3a91x" not in file.read_bytes() for file in held)
    assert not (root / ".psql_history").exists()


def test_the_end_of_stockctl_is_the_end_of_psql(root: Path) -> None:
    terminal = Terminal(root, "db", "shell", "one")
    terminal.expect("one:stockctl=# ")
    terminal.process.terminate()
    assert terminal.end() == 143


def test_there_is_no_json(root: Path) -> None:
    done = pipe(root, "", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "USAGE"


def test_a_server_that_is_not_there(root: Path) -> None:
    (root / "environments" / "one.toml").write_text(
        '[database]\nurl = "postgresql://u:c4n4ry7f3a91x@127.0.0.1:1/db"\n'
    )
    done = pipe(root, "SELECT 1;")
    assert done.returncode == 7
    assert "cannot connect" in done.stderr
    assert "c4n4ry" not in done.stderr


def test_without_psql() -> None:
    with pytest.raises(ToolMissing) as caught:
        foreground(Command(("/nowhere/psql", "-X")))
    assert "postgresql-client" in caught.value.hint
