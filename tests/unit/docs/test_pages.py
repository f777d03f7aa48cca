"""What the pages show exists: commands, options, make targets, files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from stockctl.cli.app import app
from stockctl.cli.session import Session

REPO = Path(__file__).parents[3]
PAGES = sorted([REPO / "README.md", REPO / "CHANGELOG.md", *(REPO / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_ENDS = {"|", "||", "&&", ";", ">", ">>", "2>", "<"}


def _shown(page: Path, program: str) -> list[list[str]]:
    """The words of every `$ program …` line in the page's console blocks."""
    found = []
    for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                found += [words for words in _commands(line[2:]) if words[0] == program]
    return found


def _commands(line: str) -> Iterator[list[str]]:
    words: list[str] = []
    for word in [*shlex.split(line, comments=True), ";"]:
        if word in _ENDS:
            if words:
                yield words[: words.index("--")] if "--" in words else words
            words = []
        else:
            words.append(word)


def _resolve(words: list[str]) -> tuple[str, set[str]]:
    """The verb that a command line names, and the options that it may have."""
    session = Session()
    session.root = REPO
    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="stockctl", obj=session)
    options = {flag for each in command.get_params(context) for flag in each.opts}
    for word in words:
        if word.startswith("-") or not hasattr(command, "list_commands"):
            continue
        below = command.get_command(context, word)
        assert below is not None, f"there is no {context.command_path} {word}"
        command, context = below, below.context_class(below, info_name=word, parent=context)
        options |= {flag for each in command.get_params(context) for flag in each.opts}
    return context.command_path, options | {"--help", "-h"}


LINES = [(page, words) for page in PAGES for words in _shown(page, "stockctl")]


@pytest.mark.parametrize(
    ("page", "words"), LINES, ids=[f"{p.name}:{' '.join(w[1:])}" for p, w in LINES]
)
def test_a_shown_command_exists_with_its_options(page: Path, words: list[str]) -> None:
    path, options = _resolve(words[1:])
    given = {word.partition("=")[0] for word in words[1:] if word.startswith("-")}
    assert given <= options, f"{page.name} shows {given - options}, which {path} does not have"


def test_there_are_commands_to_check() -> None:
    assert len(LINES) > 20


def test_a_command_that_is_not_there_is_noticed() -> None:
    with pytest.raises(AssertionError, match="there is no stockctl db vacuum"):
        _resolve(["db", "vacuum"])


def test_shown_make_targets_exist() -> None:
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    shown = {words[1] for page in PAGES for words in _shown(page, "make")}
    assert shown <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in _anchors(path), f"{page.name}: {target}"


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}
