"""`--plan` is there wherever a thing is changed: every verb has it, or a reason not to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from stockctl.cli.app import app
from stockctl.cli.session import Session

LOOKS = "it looks and changes nothing"
WITHOUT = {
    **dict.fromkeys(
        (
            "env list", "env show", "env validate", "env schema", "db status", "db lint",
            "db drift", "db inspect", "backup list", "backup show", "deploy status",
            "deploy history", "deploy logs", "deploy preflight", "status", "journal", "doctor",
        ),
        LOOKS,
    ),
    "env edit": "a person does it, in an editor",
    "db shell": "a person does it, in psql",
    "deploy exec": "what is run is written out in the command itself",
    "db new": "it adds two files, which git shows",
    "db prove": "it works on a scratch database of its own",
    "backup create": "it adds a backup, and touches none that is there",
    "backup verify": "it notes what it found, and a drill has a scratch database of its own",
    "backup schedule": "it has --print",
    "deploy rehearse": "it works on a stack of its own",
    "deploy watch": "whether --rollback does anything is not known before",
    "smoke": "it asks what it is told to ask",
    "monitor export": "it writes files of its own into a folder that is named",
    "monitor textfile": "it writes the file that is named",
}  # fmt: skip


def verbs(command: Any, context: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """Each with its options; an environment below `deploy` stands for all of them."""
    if not hasattr(command, "commands"):
        yield " ".join(path), {flag for each in command.params for flag in each.opts}
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        below = found.context_class(found, info_name=name, parent=context)
        yield from verbs(found, below, (*path, name))


@pytest.fixture
def options(tmp_path: Path) -> dict[str, set[str]]:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "staging.toml").touch()
    session = Session()
    session.root = tmp_path
    root: Any = typer.main.get_command(app)
    return dict(verbs(root, root.context_class(root, info_name="stockctl", obj=session)))


def test_every_verb_that_changes_something_has_it(options: dict[str, set[str]]) -> None:
    assert {"deploy staging", "db migrate", "backup restore"} <= set(options), "the walk is broken"
    assert {name for name, given in options.items() if "--plan" not in given} == set(WITHOUT)
