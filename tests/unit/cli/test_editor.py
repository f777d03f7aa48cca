"""Which editor is run, and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockctl.cli.editor import discreet, editor_command
from stockctl.core.errors import UsageError


@pytest.mark.parametrize(
    ("process", "command"),
    [
        ({}, ("vi",)),
        ({"EDITOR": "nano"}, ("nano",)),
        ({"EDITOR": "nano", "VISUAL": "code --wait"}, ("code", "--wait")),
        ({"EDITOR": "'/my editors/x' -a 'b c'"}, ("/my editors/x", "-a", "b c")),
        ({"EDITOR": "nano", "VISUAL": "  "}, ("nano",)),
    ],
)
def test_visual_then_editor_then_vi(process: dict[str, str], command: tuple[str, ...]) -> None:
    assert editor_command(process) == command


def test_what_is_no_command_line() -> None:
    with pytest.raises(UsageError, match=r"^\$VISUAL cannot be split"):
        editor_command({"VISUAL": "'open"})


@pytest.mark.parametrize("name", ["vim", "nvim", "vim.basic", "vim.tiny"])
def test_vim_keeps_nothing_elsewhere(tmp_path: Path, name: str) -> None:
    """Also where it is called vi, as Debian has it."""
    program, link = tmp_path / name, tmp_path / "vi"
    program.write_text("")
    link.symlink_to(program)
    for path in (program, link):
        found = discreet((str(path), "-R"))
        assert found[:2] == (str(path), "-R")
        assert found[2:5] == ("-n", "-i", "NONE")


@pytest.mark.parametrize("name", ["nano", "vimdiff-like", "code", "vi", "/no/such/vi"])
def test_others_are_run_as_they_are(tmp_path: Path, name: str) -> None:
    assert discreet((str(tmp_path / name), "--wait")) == (str(tmp_path / name), "--wait")
