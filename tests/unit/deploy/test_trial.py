"""What is to be installed is tried first, in real processes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stockctl.backup.schedule import Job
from stockctl.core.calendar import Calendar
from stockctl.core.clock import SystemClock
from stockctl.core.command import Command
from stockctl.core.errors import Refused, ToolFailed
from stockctl.core.progress import Event, Message, Progress
from stockctl.deploy.trial import try_out
from stockctl.system.local import LocalHost

GOOD = {"ok": True, "error": None, "data": {"checks": []}, "findings": []}
STORE = {"name": "backup store", "ok": False, "detail": "no credentials", "fix": ""}
BAD = {**GOOD, "ok": False, "data": {"checks": [{"name": "folder", "ok": True}, STORE]}}
WRONG = {
    **BAD,
    "error": {"message": "local.toml is wrong", "details": ""},
    "findings": [{"message": "${PING} is not set"}],
}


@dataclass(frozen=True)
class Table:
    """Of nobody."""

    given: str
    way_out: str = "mend it"

    def text(self, job: Job) -> str:
        raise NotImplementedError

    install = remove = text  # type: ignore[assignment]

    def what(self, _job: Job) -> str:
        return "the line"

    def trial(self, _job: Job) -> Command:
        return Command(("echo", self.given))


def tried(there: Any, here: Any, folder: Path) -> list[str]:
    """What is warned of."""
    program = folder / "stockctl"
    program.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(here)}\nE\n")
    program.chmod(0o755)
    made = Job("prod", folder, program, Calendar.parse("0 3 * * *"), {})
    heard: list[Event] = []
    table = Table(there if isinstance(there, str) else json.dumps(there))
    try_out(table, made, LocalHost(), Progress(heard.append, SystemClock()))
    return [each.text for each in heard if isinstance(each, Message)]


def test_where_it_finds_all_nobody_is_told(tmp_path: Path) -> None:
    assert tried(GOOD, BAD, tmp_path) == []


@pytest.mark.parametrize(
    ("there", "said"),
    [(BAD, "backup store: no credentials"), (WRONG, "local.toml is wrong\n${PING} is not set")],
)
def test_what_only_this_shell_has_is_named(there: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the line would fail") as caught:
        tried(there, GOOD, tmp_path)
    assert (caught.value.details, caught.value.hint) == (said, "mend it")


def test_what_fails_here_as_well_is_a_warning(tmp_path: Path) -> None:
    (warned,) = tried(WRONG, BAD, tmp_path)
    assert "here as well" in warned
    assert "no credentials" in warned


@pytest.mark.parametrize("said", ["", "[]", "a shell's complaint", "{}"])
def test_where_nobody_can_look(said: str, tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="could not be tried"):
        tried(said, GOOD, tmp_path)
