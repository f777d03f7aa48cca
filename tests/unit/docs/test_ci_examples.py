"""The CI examples are YAML, and every command in them is one that exists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.docs.test_pages import REPO, _commands, _resolve

FILES = sorted((REPO / "examples" / "ci").glob("*.yaml"))


def lines(value: Any) -> Iterator[str]:
    """Every line of every text."""
    if isinstance(value, str):
        yield from value.splitlines()
    elif isinstance(value, dict):
        for each in value.values():
            yield from lines(each)
    elif isinstance(value, list):
        for each in value:
            yield from lines(each)


def commands(file: Path) -> list[list[str]]:
    text = file.read_text(encoding="utf-8").replace("{ ", "").replace("; }", "")
    found = lines(yaml.safe_load(text))
    return [words for line in found if "stockctl " in line for words in _commands(line)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_command_exists_with_its_options(file: Path) -> None:
    ours = [words for words in commands(file) if words[0] == "stockctl"]
    assert len(ours) >= 8
    for words in ours:
        path, options = _resolve(words[1:])
        given = {word.partition("=")[0] for word in words[1:] if word.startswith("-")}
        assert given <= options, f"{file.name}: {' '.join(words)}: {path}"


def test_production_is_by_hand() -> None:
    hub, lab = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in FILES)
    assert "workflow_dispatch" in hub["jobs"]["production"]["if"]
    assert lab["production"]["rules"][0]["when"] == "manual"
