"""Where keys stand, in agreement with tomllib about which keys there are."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.env.positions import key_positions

BARE = st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True)
QUOTED = st.text(alphabet="ab =.#[]{}'é", min_size=1, max_size=6).map(lambda k: f'"{k}"')
KEYS = st.one_of(BARE, QUOTED)
VALUES = st.sampled_from(
    [
        "1",
        "true",
        '"text"',
        '"a = b # [c]"',
        "'li{te}ral'",
        '"esc \\" aped"',
        '""',
        "''",
        '"""\nmany\n[x]\ny = 1\n"""',
        '"""one quote " inside"""',
        '"""ends with quote\\""""',
        "'''\n# no comment\n'''",
        "[1, 2,\n 3] # comment",
        '[\n  "a", # ]\n  "b",\n]',
        "{ a = 1, b = { c = 2 } }",
        "2026-11-22T03:00:00Z",
        "[[1], [2]]",
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    lines: list[str] = []
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["table", "array", "none"]))
        name = ".".join(draw(st.lists(KEYS, min_size=1, max_size=2)))
        if kind == "table":
            lines.append(f"[{name}]")
        elif kind == "array":
            lines.append(f"[[ {name} ]]  # comment")
        for _ in range(draw(st.integers(0, 3))):
            key = draw(st.sampled_from([".", " . "])).join(
                draw(st.lists(KEYS, min_size=1, max_size=2))
            )
            indent = draw(st.sampled_from(["", "  ", "\t"]))
            lines.append(f"{indent}{key} = {draw(VALUES)}")
        lines.append(draw(st.sampled_from(["", "# comment = 1", "  # [x]"])))
    return "\n".join(lines)


def parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [leaf for i, item in enumerate(value) for leaf in leaves(item, (*path, i))]
    return [path]


@given(documents().filter(lambda text: parsed(text) is not None))
def test_every_position_is_of_a_key_and_every_key_has_one(text: str) -> None:
    data, found = parsed(text), key_positions(text)
    lines = text.splitlines()
    for path, (line, column) in found.items():
        value: Any = data
        for key in path:
            value = value[key]  # exists, or this raises
        assert lines[line - 1][: column - 1].strip() == ""
        assert not lines[line - 1][column - 1 :].startswith((" ", "\t", "#"))
    for leaf in leaves(data):
        if leaf:
            assert any(leaf[:length] in found for length in range(1, len(leaf) + 1)), leaf


@pytest.mark.parametrize(
    ("text", "path", "position"),
    [
        ("a = 1", ("a",), (1, 1)),
        ("\n  a = 1", ("a",), (2, 3)),
        ("[t]\nb = 1", ("t", "b"), (2, 1)),
        ("[t]\nb = 1", ("t",), (1, 1)),
        ("a.b = 1", ("a", "b"), (1, 1)),
        ('"a = b" = 1', ("a = b",), (1, 1)),
        ("[[s]]\nn = 1\n[[s]]\nn = 2", ("s", 1, "n"), (4, 1)),
        ("[[s]]\n[s.t]\nx = 1", ("s", 0, "t", "x"), (3, 1)),
        ('a = """\nb = 1\n"""\nc = 2', ("c",), (4, 1)),
        ("a = [\n 1, # ]\n]\nc = 2", ("c",), (4, 1)),
        ("a = 1\r\n\r\nb = 2\r\n", ("b",), (3, 1)),
        ("ä = 1".replace("ä", '"ä"') + "\nb = 2", ("b",), (2, 1)),
        ('a = "#"\nb = 1', ("b",), (2, 1)),
        ("a = ''''x''''\nb = 1", ("b",), (2, 1)),
    ],
)
def test_a_key_stands_where_it_stands(
    text: str, path: tuple[str | int, ...], position: tuple[int, int]
) -> None:
    assert key_positions(text)[path] == position


def test_an_empty_document_has_no_keys() -> None:
    assert key_positions("") == {}
    assert key_positions("# only a comment") == {}
