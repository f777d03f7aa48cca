"""`env_file = "…"` in a TOML file gets another value; every other byte stays."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import PurePosixPath

from stockctl.core.errors import ConfigurationError, Where
from stockctl.env.positions import key_positions

_KEY = re.compile(r"(?:env_file|\"env_file\"|'env_file')[ \t]*=[ \t]*")
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")
_NEWLINE = re.compile(r"\r\n|\n")


def switch_env_file(text: str, inherited: str, name: str, label: str) -> str:
    """The text with `name` as the file's name in `env_file`; its folder stays.

    Where the key is not in this file, `inherited` is what it extends: a line is added that says
    the same with another name. Raises ConfigurationError where it cannot be done by an edit.
    """
    before = tomllib.loads(text)
    written = before.get("env_file", inherited)
    wanted = str(PurePosixPath(written).with_name(name))
    place = key_positions(text).get(("env_file",))
    changed = _replaced(text, wanted, place) if place else _added(text, wanted)
    by_hand = ConfigurationError(
        "env_file cannot be changed by an edit",
        where=Where(label, *(place or ())),
        hint=f"Change it by hand: env_file = {_quoted(wanted)}",
    )
    if changed is None or "${" in PurePosixPath(written).name:
        raise by_hand
    try:
        after = tomllib.loads(changed)
    except tomllib.TOMLDecodeError:
        raise by_hand from None
    if after != {**before, "env_file": wanted}:
        raise by_hand
    return changed


def _replaced(text: str, wanted: str, place: tuple[int, int]) -> str | None:
    line, column = place
    key = _KEY.match(text, _begin(text, line) + column - 1)
    value = _STRING.match(text, key.end()) if key else None
    if value is None:
        return None
    literal = value.group().startswith("'") and "'" not in wanted
    quoted = f"'{wanted}'" if literal else _quoted(wanted)
    return text[: value.start()] + quoted + text[value.end() :]


def _added(text: str, wanted: str) -> str:
    """After `extends`, which must be there, or the key could not have come from another file."""
    extends = key_positions(text).get(("extends",))
    newline = _NEWLINE.search(text)
    eol = newline.group() if newline else "\n"
    at = _begin(text, extends[0] + 1 if extends else 1)
    head = text[:at] if not text[:at] or text[:at].endswith("\n") else text[:at] + eol
    return f"{head}env_file = {_quoted(wanted)}{eol}{text[at:]}"


def _begin(text: str, line: int) -> int:
    """Where a line begins; the end of the text where there is no such line."""
    begin = 0
    for _ in range(line - 1):
        end = text.find("\n", begin)
        if end < 0:
            return len(text)
        begin = end + 1
    return begin


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
