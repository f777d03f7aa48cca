"""Verbs built late, options read without pydantic: the same commands as typer makes them."""

from __future__ import annotations

import subprocess
import sys
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from stockctl.cli.app import GROUPS
from stockctl.cli.command import Group, PlainCommand, PlainGroup


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def said_by(cls: type[PlainCommand] | None, line: list[str]) -> Any:
    """What a verb is given, or what typer says in its place."""
    app, given = typer.Typer(add_completion=False, rich_markup_mode=None), []

    @app.command(cls=cls)
    def paint(
        names: Annotated[list[str] | None, typer.Argument()] = None,
        colour: Annotated[Colour, typer.Option()] = Colour.RED,
        file: Annotated[Path | None, typer.Option()] = None,
        more: Annotated[list[Path] | None, typer.Option()] = None,
        number: Annotated[int | None, typer.Option(min=1, max=9)] = None,
        text: Annotated[str, typer.Option()] = "x",
        flag: Annotated[bool, typer.Option("--flag")] = False,
    ) -> None:
        given.append((names, colour, file, more, number, text, flag))

    try:
        app(line, standalone_mode=False)
    except typer.TyperException as error:
        return type(error), error.format_message()
    return given


@pytest.mark.parametrize(
    "line",
    [
        "",
        "a b",
        "--colour blue --text y --flag",
        "--colour green",
        "--colour BLUE",
        "--file / --more / --more gone",
        "--file gone",
        "--file=",
        "--number 3",
        "--number 0",
        "--number three",
        "--nothing",
        "--flag=yes",
    ],
)
def test_plain_options_hold_what_those_of_typer_hold(line: str) -> None:
    words = line.split()
    assert said_by(PlainCommand, words) == said_by(None, words)


def test_every_verb_is_what_typer_would_build() -> None:
    for name in GROUPS:
        app = import_module(f"stockctl.cli.{name}").app
        app.load()
        late, early = app.build(), typer.main.get_command(app)
        if not isinstance(early, PlainGroup):
            assert late.help == early.help
            continue
        assert isinstance(late, PlainGroup)
        assert list(late.commands) == list(early.commands)
        assert (late.help, late.subcommand_metavar) == (early.help, early.subcommand_metavar)
        for verb, command in early.commands.items():
            same = late.commands[verb]
            assert [p.name for p in same.params] == [p.name for p in command.params]
            assert (same.help, same.epilog, same.hidden) == (
                command.help,
                command.epilog,
                command.hidden,
            )


def test_modules_beside_are_imported_for_a_verb_that_is_not_known_yet() -> None:
    name = "stockctl.cli.env"
    program = (
        f"import sys\nfrom {name} import app\nverbs = app.build().commands\n"
        "verbs['validate']\nassert 'stockctl.cli.env_secrets' not in sys.modules\n"
        "verbs['generate']\nassert 'stockctl.cli.env_secrets' in sys.modules\n"
        "assert 'no such verb' not in verbs"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_app_has_its_own_verbs_only() -> None:
    app = Group(cls=PlainGroup)
    assert list(app.registered_commands) == []


# What `env validate` has no use for. Each costs as much as a rule over hundreds of variables.
UNUSED = (
    "docker",
    "pyrage",
    "rich",
    "stockctl.cli.env_secrets",
    "stockctl.cli.wiring",
    "stockctl.system.engine",
    "stockctl.system.local",
    "typer._adapters",
)


@pytest.mark.parametrize(
    ("line", "unused"),
    [
        ("env validate --all", UNUSED),
        ("env list", ("pydantic.main", "docker", "stockctl.env.rules", "typer._adapters")),
        *((f"{group} --help", ("pydantic.main", "docker", "rich")) for group in GROUPS),
    ],
)
def test_nothing_is_imported_that_is_not_used(tmp_path: Path, line: str, unused: Any) -> None:
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "prod.toml").write_text('env_file = ".env.prod"\n')
    (folder / ".env.prod").write_text("PORT=5000\n")
    (folder / ".env.prod").chmod(0o600)
    program = (
        "import sys\nfrom stockctl.cli.app import run\ncode = run(sys.argv[1:])\n"
        f"print([name for name in {unused} if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)"
    )
    argv = [sys.executable, "-c", program, "--root", str(tmp_path), *line.split()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n")
