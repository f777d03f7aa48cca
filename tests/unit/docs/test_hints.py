"""A command in a hint can be typed as it stands: it exists and says for which environment."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from stockctl.cli.app import GROUPS, app
from stockctl.cli.session import Session
from stockctl.core.hint import ENV

REPO = Path(__file__).parents[3]
VALUE = "{}"  # what a string is completed with when it is used
# `stockctl db status` alone between backticks names the verb and is no line to type
_COMMAND = re.compile(r"(?<![\w.'-])stockctl ([a-z]+)((?: [^\s`]+)*)(`?)")
# what others are told that we are: the server of a load test, the list of database sessions
_NAMES = ("stockctl load", "stockctl db ({})")


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string of a module with its line, but docstrings and the examples of a verb's help."""
    if isinstance(tree, ast.JoinedStr):
        parts = (p.value if isinstance(p, ast.Constant) else VALUE for p in tree.values)
        yield tree.lineno, "".join(map(str, parts))
        return
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree.lineno, tree.value
    for child in ast.iter_child_nodes(tree):
        docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        example = isinstance(child, ast.keyword) and child.arg in ("example", "epilog")
        if not docstring and not example:
            yield from texts(child)


def wrong(text: str) -> list[str]:
    """The commands in a text that cannot be typed."""
    found = []
    for group, rest, quoted in _COMMAND.findall(text):
        if group in GROUPS:
            words = [re.sub(r"[,.:;)|'\"]+$", "", word) for word in rest.split()]
            said = _said(group, words, named=bool(quoted))
            found += [f"stockctl {group}{rest}: {said}"] if said else []
    return found


def _said(group: str, words: list[str], *, named: bool) -> str:
    command, left = _command(group, words)
    if command is None:
        return f"there is no {' '.join([group, *words[:1]])}"
    if named and not left:
        return ""
    takes = {each.name for each in command.params if each.param_type_name == "argument"}
    wants = "environment" in takes or hasattr(command, "list_commands")  # `deploy ENV`
    if wants and not (left and (left[0].strip("'") == ENV or left[0].startswith(("{", "%")))):
        return "of which environment?"
    known = {flag for each in command.params for flag in each.opts}
    options = [each for each in left if re.match("--[a-z]", each)]
    unknown = [each for each in options if each not in known]
    return f"no option {unknown[0]}" if unknown and not hasattr(command, "list_commands") else ""


def _command(group: str, words: list[str]) -> tuple[Any, list[str]]:
    root: Any = typer.main.get_command(app)
    session = Session()
    session.root = REPO / "nowhere"  # no environment is a verb of `deploy` here
    context = root.context_class(root, info_name="stockctl", obj=session)
    command = root.get_command(context, group)
    if not hasattr(command, "list_commands"):
        return command, words
    context = command.context_class(command, info_name=group, parent=context)
    if not words:
        return command, words
    if words[0] in command.list_commands(context):
        return command.get_command(context, words[0]), words[1:]
    addressed = group == "deploy" and (words[0] == ENV or words[0].startswith("{"))
    interpolated = words[0].startswith("{")  # `stockctl db {verb} ENV`
    if interpolated and not addressed:
        return command, words[1:]
    return (command if addressed else None), words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("See: stockctl db status", "of which environment?"),
        ("prune (`stockctl backup prune --plan`).", "of which environment?"),
        ("stockctl deploy", "of which environment?"),
        ("stockctl db statsu {}", "there is no db statsu"),
        ("stockctl db status ENV --al", "no option --al"),
    ],
)
def test_this_test_can_fail(text: str, said: str) -> None:
    assert [each.partition(": ")[2] for each in wrong(text)] == [said]


@pytest.mark.parametrize(
    "text",
    [
        "See: stockctl db status ENV, and then go on.",
        "`stockctl db status` says so",
        "stockctl deploy {} --tag {}",
        "stockctl env list",
        "Which stockctl deploys it?",
    ],
)
def test_and_does_not_cry_wolf(text: str) -> None:
    assert wrong(text) == []


def test_every_command_in_a_text_of_the_code_can_be_typed() -> None:
    found, seen = [], 0
    for file in sorted((REPO / "src").rglob("*.py")):
        for line, text in texts(ast.parse(file.read_text(encoding="utf-8"))):
            seen += "stockctl " in text
            if text in _NAMES:
                continue
            found += [f"{file.relative_to(REPO)}:{line}: {each}" for each in wrong(text)]
    assert seen > 50
    assert not found, "\n".join(found)
