"""One value of a TOML file changes, and not one byte beside it."""

from __future__ import annotations

import pytest

from stockctl.core.errors import ConfigurationError
from stockctl.env.toml_edit import switch_env_file


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('env_file = ".env.prod"\n', 'env_file = "prod.env.age"\n'),
        ("env_file='.env.prod' # why\n", "env_file='prod.env.age' # why\n"),
        ('# env_file = "x"\n"env_file"  =  "a/.env" # "\n', None),
        ('extends = "base"\r\nenv_file = "../s/.env"\r\n[x]\r\na = 1', None),
        ('a = """\nenv_file = "no"\n"""\n  env_file = ".env"\n', None),
        ('a = "\u2028\x85"\n# \u2028 \x85\nenv_file = ".env"\n', None),
    ],
)
def test_the_value_is_replaced_in_its_quotes(before: str, after: str | None) -> None:
    found = switch_env_file(before, "unused", "prod.env.age", "prod.toml")
    expected = after or before.replace('.env"', 'prod.env.age"')
    assert found == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('extends = "base"\n[x]\na = 1\n', 'extends = "base"\nenv_file = "s/n.age"\n[x]\na = 1\n'),
        ('extends = "base"', 'extends = "base"\nenv_file = "s/n.age"\n'),
        (
            '# hi\r\nextends = "base" # why\r\nprotected = true\r\n',
            '# hi\r\nextends = "base" # why\r\nenv_file = "s/n.age"\r\nprotected = true\r\n',
        ),
    ],
)
def test_an_inherited_one_gets_a_line_of_its_own(before: str, after: str) -> None:
    assert switch_env_file(before, "s/.env", "n.age", "prod.toml") == after


@pytest.mark.parametrize(
    "before",
    ['env_file = """.env"""\n', "env_file = '''.env'''\n", 'env_file = "${X}"\n'],
)
def test_what_cannot_be_edited_is_said(before: str) -> None:
    with pytest.raises(ConfigurationError, match=r"prod\.toml:1:1: env_file cannot") as caught:
        switch_env_file(before, "unused", "n.age", "prod.toml")
    assert caught.value.hint == 'Change it by hand: env_file = "n.age"'


def test_a_folder_from_the_environment_stays() -> None:
    before = 'env_file = "${SECRETS}/.env.prod"\n'
    after = switch_env_file(before, "unused", "prod.env.age", "prod.toml")
    assert after == 'env_file = "${SECRETS}/prod.env.age"\n'
