"""Where each key of a TOML document stands. `tomllib` gives values only; errors need lines.

The document has already passed `tomllib`, so the scan may rely on valid syntax: it only has to
know strings, brackets and comments well enough to find where statements begin.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

Path = tuple[str | int, ...]
Position = tuple[int, int]

_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?!")|\'\'\'.*?\'\'\'(?!\')'  # multi-line strings
    r'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\''  # strings
    r"|\#[^\n]*|[\[\]{}]|\n|[^\"'\#\[\]{}\n]+",
    re.DOTALL,
)


def key_positions(text: str) -> dict[Path, Position]:
    """Line and column (from 1) of every table and key, by its path; `[[x]]` entries by index."""
    found: dict[Path, Position] = {}
    arrays: dict[Path, int] = {}
    table: Path = ()
    for line, column, statement in _statements(text):
        if statement.startswith("[["):
            name = _resolve(_keys(statement[2 : statement.rindex("]]")]), arrays)
            arrays[name] = arrays.get(name, -1) + 1
            table = (*name, arrays[name])
            found.setdefault(name, (line, column))
            found[table] = (line, column)
        elif statement.startswith("["):
            table = _resolve(_keys(statement[1 : statement.rindex("]")]), arrays)
            found.setdefault(table, (line, column))
        else:
            found[(*table, *_keys(_before_equals(statement)))] = (line, column)
    return found


# A header, or a key with a value that ends on its line: nearly every statement is like this.
_SIMPLE = re.compile(
    r"(?P<indent>[ \t]*)(?P<statement>\[[A-Za-z0-9_.-]+\]"
    r"|[A-Za-z0-9_.-]+[ \t]*=[ \t]*(?:\"[^\"\\\n]*\"|'[^'\n]*'|[A-Za-z0-9_.:+-]+))"
    r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)"
)
_BARE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


def _statements(text: str) -> Iterator[tuple[int, int, str]]:
    """Header and key lines with their positions; a value that spans lines stays one statement."""
    at, line = 0, 1
    while at < len(text):
        simple = _SIMPLE.match(text, at)
        if simple is not None:
            yield line, 1 + len(simple["indent"]), simple["statement"]
            at, line = simple.end(), line + 1
            continue
        end = _end(text, at)
        blank = len(text[at:end]) - len(text[at:end].lstrip(" \t"))
        statement = _without_comments(text[at:end])
        if statement:
            yield line, 1 + blank, statement
        line += text.count("\n", at, end)
        at = end


def _end(text: str, at: int) -> int:
    """Behind the newline that ends the statement at `at`."""
    depth = 0
    for match in _TOKEN.finditer(text, at):
        token = match.group()
        if token == "\n" and depth == 0:
            return match.end()
        depth += (token in "[{") - (token in "]}") if len(token) == 1 else 0
    return len(text)


def _without_comments(statement: str) -> str:
    tokens = (match.group() for match in _TOKEN.finditer(statement))
    return "".join(token for token in tokens if not token.startswith("#")).strip()


def _before_equals(statement: str) -> str:
    quoted = re.match(r"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^=\"'])+", statement)
    return quoted.group() if quoted else statement


def _keys(dotted: str) -> Path:
    """`a."b.c".d` as a path; tomllib itself reads the quoting."""
    if _BARE.fullmatch(dotted.strip()):
        return tuple(dotted.strip().split("."))
    path: list[str] = []
    table = tomllib.loads(f"{dotted.strip()} = 0")
    while isinstance(table, dict):
        (key, table), *_ = table.items()
        path.append(key)
    return tuple(path)


def _resolve(name: Path, arrays: dict[Path, int]) -> Path:
    """`[a.b]` below `[[a]]` belongs to the latest entry of that array."""
    resolved: Path = ()
    for key in name[:-1]:
        resolved = (*resolved, key)
        if resolved in arrays:
            resolved = (*resolved, arrays[resolved])
    return (*resolved, name[-1])
