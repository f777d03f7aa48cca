"""Where each key of a TOML document stands. `tomllib` gives values only; errors need lines.

The document has already passed `tomllib`, so the scan may rely on valid syntax: it only has to
know strings, brackets and comments well enough to find where statements begin.
"""

from __future__ import annotations

import re
import tomllib

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


def _statements(text: str) -> list[tuple[int, int, str]]:
    """Header and key lines with their positions; a value that spans lines stays one statement."""
    statements: list[tuple[int, int, str]] = []
    line, depth, current, start = 1, 0, "", (1, 1)
    line_begin = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if not current.strip() and not token.isspace() and not token.startswith("#"):
            indent = len(token) - len(token.lstrip()) if not current else 0
            start = (line, match.start() - line_begin + indent + 1)
            current = ""
        if token == "\n" and depth == 0:
            if current.strip():
                statements.append((*start, current.strip()))
            current = ""
        elif not token.startswith("#"):
            depth += (token in "[{") - (token in "]}") if len(token) == 1 else 0
            current += token
        if "\n" in token:
            line += token.count("\n")
            line_begin = match.start() + token.rindex("\n") + 1
    if current.strip():
        statements.append((*start, current.strip()))
    return statements


def _before_equals(statement: str) -> str:
    quoted = re.match(r"(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^=\"'])+", statement)
    return quoted.group() if quoted else statement


def _keys(dotted: str) -> Path:
    """`a."b.c".d` as a path; tomllib itself reads the quoting."""
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
