"""Ignores: where they reach, and that none of them stays when it is not needed any more."""

from __future__ import annotations

import pytest
from tests.unit.env.conftest import Write

from stockctl.env.validate import validate

TOML = 'env_file = ".env.prod"\n'


def left(write: Write, env: str, toml: str = TOML) -> list[tuple[str, int | None]]:
    project = write(prod=toml, env={"prod": env})
    found = validate(project, ["prod"], {}).findings
    return [(each.code, each.where.line if each.where else None) for each in found]


def test_without_an_ignore_it_is_found(write: Write) -> None:
    assert left(write, "debug=1\n") == [("W102", 1)]


@pytest.mark.parametrize(
    "env",
    [
        "# stockctl: ignore W102 -- as the library wants it\nlevel=1\n",
        "level=1  # stockctl: ignore W102 -- as the library wants it\n",
        "# stockctl: ignore W102 -- first\n# a comment between\nlevel=1\n",
        "# stockctl: ignore W102, W103 -- both\nlevel = 1\n",
        "# stockctl: ignore W102 W103 -- both\nlevel = 1\n",
        "level=1\nmore=2\n# stockctl: ignore-file W102 -- all of them\n",
        "# stockctl: ignore W102 -- Windows\r\nlevel=1\n# stockctl: ignore-file W109 -- yes\n",
    ],
)
def test_with_a_reason_it_is_not(write: Write, env: str) -> None:
    assert left(write, env) == []


def test_it_reaches_one_line_only(write: Write) -> None:
    env = "# stockctl: ignore W102 -- this one\nlevel=1\nmore=2\n"
    assert left(write, env) == [("W102", 3)]


@pytest.mark.parametrize(
    "directive",
    [
        "stockctl: ignore W102",
        "stockctl: ignore W102 --",
        "stockctl: ignore -- no code",
        "stockctl: ignore W999 -- no such code",
        "stockctl: ignore w102 -- codes are upper case",
        "stockctl: ignore E000 -- a file that cannot be read",
    ],
)
def test_one_that_does_not_count_is_told_and_ignores_nothing(write: Write, directive: str) -> None:
    assert left(write, f"# {directive}\nlevel=1\n") == [("W111", 1), ("W102", 2)]


def test_one_without_effect_is_told(write: Write) -> None:
    env = "# stockctl: ignore W102 W103 -- one too many\nlevel=1\n"
    assert left(write, env) == [("W110", 1)]


def test_of_two_for_one_line_the_second_is_without_effect(write: Write) -> None:
    env = "# stockctl: ignore W102 -- once\nlevel=1 # stockctl: ignore W102 -- twice\n"
    assert left(write, env) == [("W110", 2)]


def test_a_value_that_talks_about_it_is_none(write: Write) -> None:
    assert left(write, 'A="# stockctl: ignore W102 -- x"\n') == []


def test_the_middle_of_a_value_is_no_comment(write: Write) -> None:
    env = 'A="one\n# stockctl: ignore-file W102 -- not meant\ntwo"\nlevel=1\n'
    assert left(write, env) == [("W102", 4)]


def test_it_works_in_toml_too(write: Write) -> None:
    toml = '# stockctl: ignore C011 -- a proxy that speaks it\n[database]\nurl = "pgwire://x/y"\n'
    assert left(write, "A=1\n", f"{TOML}{toml}") == [("W110", 2), ("C011", 4)]
    toml = '[database]\n# stockctl: ignore C011 -- a proxy that speaks it\nurl = "pgwire://x/y"\n'
    assert left(write, "A=1\n", f"{TOML}{toml}") == []


def test_a_file_level_one_is_for_what_has_no_line(write: Write) -> None:
    toml = f"{TOML}[variables.A]\nrequired = true\n"
    env = "# stockctl: ignore-file E003 -- it comes from the vault\n"
    assert left(write, env, toml) == []
