"""What an environment comes to, as a person reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.cli import env_tree
from stockctl.cli.app import run
from stockctl.cli.env_tree import Row
from stockctl.core.errors import Where

CANARY = "c4n4ryV4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E"
BASE = """\
[backup]
keep = { last = 3, daily = 30 }

[database]
url = "${DATABASE_URL}"
lock_timeout = "2s"

[[smoke]]
name = "health"
path = "/health"
contains = '"status": "ok"'
"""
PROD = """\
extends = "base"
env_file = ".env.prod"
protected = true

[variables.PORT]
type = "port"

[variables.EMPTY]
"""
ENV_FILE = f"""\
PORT=1
PORT=5000
EMPTY=

SESSION_SECRET={CANARY}
DATABASE_URL=postgresql://app:{CANARY}@127.0.0.1/app
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "base.toml").write_text(BASE)
    (folder / "prod.toml").write_text(PROD)
    (folder / ".env.prod").write_text(ENV_FILE)
    (folder / ".env.prod").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    for variable in ("STOCKCTL_ENV", "STOCKCTL_ROOT", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(project: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def run_line(*arguments: str) -> tuple[int, str, str]:
        assert project.is_dir()
        code = run(["env", "show", "prod", *arguments])
        shown = capsys.readouterr()
        assert CANARY not in shown.out + shown.err
        return code, shown.out, shown.err

    return run_line


def shown(out: str) -> dict[str, tuple[str, str]]:
    """Value and place by section and key."""
    found, section = {}, ""
    for line in out.splitlines():
        cells = re.split(r" {2,}", line.strip())
        if len(cells) == 3:
            found[f"{section} {cells[0]}"] = (cells[1], cells[2])
        elif line and not line.startswith(" "):
            section = line
    return found


def test_each_value_is_shown_with_its_place(call: Call) -> None:
    code, out, err = call()
    assert (code, err) == (0, "")
    assert out.startswith("prod · production · protected\n  extends")
    found = shown(out)
    title = "prod · production · protected"
    assert found[f"{title} protected"] == ("true", "environments/prod.toml:3")
    assert found[f"{title} env_file"] == ("environments/.env.prod", "environments/prod.toml:2")
    assert found["database url"] == ("***", "environments/base.toml:5")
    assert found["database lock_timeout"] == ("2s", "environments/base.toml:6")
    assert found["database embedded"] == ("false", "default")
    assert found["backup daily"] == ("30", "environments/base.toml:2")
    assert found["backup recipients"] == ("none", "default")
    assert found["host directory"] == (".stockctl/prod", "default")


def test_of_an_entry_only_what_was_written_is_shown(call: Call) -> None:
    section = call()[1].partition("smoke[0]\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in section] == ["name", "path", "contains"]


def test_the_env_file_has_a_section_of_its_own(call: Call) -> None:
    found = shown(call()[1])
    file = "environments/.env.prod"
    assert found[f"{file} PORT"] == ("5000", f"{file}:2")  # the one that counts
    assert found[f"{file} EMPTY"] == ('""', f"{file}:3")
    assert found[f"{file} SESSION_SECRET"] == ("***", f"{file}:5")
    assert found[f"{file} DATABASE_URL"] == ("***", f"{file}:6")


def test_places_stand_below_each_other(call: Call) -> None:
    out = call()[1]
    places = re.findall(r"(?m)^.*?(?=(?:environments/\S+:\d+|default)$)", out)
    assert len(places) > 20
    assert len({len(before) for before in places}) == 1


def test_json_has_every_value_and_every_source(call: Call, project: Path) -> None:
    code, out, _ = call("--json")
    data = json.loads(out)["data"]
    assert code == 0
    assert data["environment"]["values"]["PORT"] == "5000"
    assert data["environment"]["values"]["SESSION_SECRET"] == "***"
    assert data["environment"]["env_file"] == str(project / "environments" / ".env.prod")
    assert data["environment"]["smoke"][0]["method"] == "GET"
    assert data["sources"]["PORT"] == "environments/.env.prod:2:1"
    assert data["sources"]["smoke[0].path"] == "environments/base.toml:10:1"


def test_what_only_a_rule_complains_about_is_shown(call: Call, project: Path) -> None:
    (project / "environments" / ".env.prod").chmod(0o644)
    assert run(["env", "validate", "prod", "-q"]) == 3
    code, out, _ = call()
    assert (code, "SESSION_SECRET" in out) == (0, True)


def test_what_cannot_be_loaded_fails_with_the_findings(call: Call, project: Path) -> None:
    (project / "environments" / "prod.toml").write_text("protect = 1\n")
    code, out, err = call()
    assert (code, out) == (3, "")
    assert "environments/prod.toml:1:1 C002 error protect: unknown key" in err


def text(rows: list[Row], width: int) -> list[str]:
    return ["".join(part for part, _ in line) for line in env_tree.lines(rows, str, width)]


ROWS = st.lists(
    st.builds(
        Row,
        st.integers(0, 2),
        st.text("key_", min_size=1, max_size=12),
        st.none() | st.text("value", min_size=1, max_size=50),
        st.sampled_from(["default", "environments/base.toml:12", "a:1"]),
    ),
    max_size=8,
)


@given(ROWS, st.integers(30, 120))
def test_nothing_is_wider_than_the_terminal_but_a_value(rows: list[Row], width: int) -> None:
    lines = text(rows, width)
    values = {row.value for row in rows}
    for line in lines:
        assert len(line) <= width or any(value and line.endswith(value) for value in values)
    joined = "\n".join(lines)
    for row in rows:
        assert row.key in joined
        assert row.value is None or (row.value in joined and row.place in joined)


def test_where_there_is_no_room_the_place_goes_below() -> None:
    rows = [Row(0, "service"), Row(1, "compose", "a, b, c, d", "environments/base.toml:12")]
    assert text(rows, 80) == ["service", "  compose  a, b, c, d  environments/base.toml:12"]
    assert text(rows, 40)[1:] == [
        "  compose  a, b, c, d",
        "             environments/base.toml:12",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain text", "plain text"),
        ("", '""'),
        (" x", '" x"'),
        ("a\nb", r'"a\nb"'),
        (True, "true"),
        (5000, "5000"),
        (["a", "b"], "a, b"),
        ([], "none"),
        ({}, "none"),
    ],
)
def test_a_value_is_as_short_as_it_stays_clear(value: object, expected: str) -> None:
    rows = env_tree.rows("prod", {"key": value}, {("key",): Where("a.toml", 7, 3)}, "/root")
    assert rows[1:] == [Row(1, "key", expected, "a.toml:7")]


def test_paths_are_shown_from_the_project() -> None:
    document = {"a": "/srv/app/x", "b": "/srv/application", "c": ["/srv/app/y"]}
    assert [row.value for row in env_tree.rows("p", document, {}, "/srv/app")[1:]] == [
        *("x", "/srv/application", "y")
    ]
