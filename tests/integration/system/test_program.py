"""Somebody else's program: a deadline, no inheritance, and a daemon that keeps the pipe."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from stockctl.system.program import Ended, run_program


def run(
    folder: Path, script: str, timeout_s: float = 30.0, **given: str
) -> tuple[Ended, list[str]]:
    heard: list[str] = []
    ended = run_program(
        ("sh", "-c", script), given, directory=folder, timeout_s=timeout_s, on_line=heard.append
    )
    return ended, heard


def test_both_outputs_are_heard_and_the_code_is_told(tmp_path: Path) -> None:
    ended, heard = run(tmp_path, "echo out; echo err >&2; printf rest; exit 7")
    assert (ended.exit_code, ended.ok) == (7, False)
    assert heard == ["out", "err", "rest"]
    assert ended.said == "out\nerr\nrest"


def test_nothing_is_inherited_but_what_everybody_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "c4n4ry")
    ended, heard = run(tmp_path, "env; pwd", STOCKCTL_EVENT="failed")
    assert "STOCKCTL_EVENT=failed" in heard
    assert any(line.startswith("PATH=") for line in heard)
    assert "c4n4ry" not in ended.said
    assert heard[-1] == str(tmp_path)


def test_a_daemon_that_keeps_the_pipe_holds_nobody_up(tmp_path: Path) -> None:
    """As a hook that starts something with `&` and does not think of its output."""
    script = "setsid sleep 300 & echo $! >pid; echo started"
    began = time.monotonic()
    ended, heard = run(tmp_path, script, timeout_s=120)
    assert time.monotonic() - began < 60
    assert (ended.exit_code, heard) == (0, ["started"])
    daemon = int((tmp_path / "pid").read_text())
    assert Path(f"/proc/{daemon}").exists()  # it is none of ours, and goes on
    os.kill(daemon, signal.SIGKILL)


def test_at_its_deadline_it_is_ended_with_its_children(tmp_path: Path) -> None:
    ended, heard = run(tmp_path, "sleep 300 & echo $! >pid; echo before; wait", timeout_s=1)
    assert (ended.exit_code, heard) == (None, ["before"])
    child = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    assert not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z"


def test_what_it_prints_without_end_is_not_kept(tmp_path: Path) -> None:
    ended, _ = run(tmp_path, "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done")
    assert ended.said.splitlines()[-1] == "line 4999"
    assert len(ended.said.splitlines()) == 60
