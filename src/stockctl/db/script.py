"""One file of SQL: its headers, its statements and what is wrong with it by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.db.statements import Kind, Statement, position, split, tokens

NAME = re.compile(r"\d{4}_[a-z0-9_]+")
DOWN = ".rollback.sql"
HEADERS = ("transactional", "depends", "phase", "irreversible")
_HEADER = re.compile(rf"--[ \t]*({'|'.join(HEADERS)})[ \t]*:[ \t]*(.*)", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"


class Phase(StrEnum):
    """When a migration may run.

    The previous release tolerates an `expand` migration by definition; a `contract` one takes
    something away and waits until no previous release needs it.
    """

    EXPAND = "expand"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class Header:
    """`-- name: value` at the top of a file."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Script:
    """A file as it was read. `text` is empty when it is not text at all."""

    path: Path
    data: bytes
    text: str
    headers: tuple[Header, ...]
    parts: tuple[Statement, ...]
    findings: tuple[Finding, ...]

    @property
    def statements(self) -> int:
        return len(self.parts)

    def header(self, name: str) -> Header | None:
        return next((header for header in self.headers if header.name == name), None)

    def value(self, name: str, default: str = "") -> str:
        header = self.header(name)
        return header.value if header else default


def finding(code: str, path: Path, message: str, fix: str, line: int | None = None) -> Finding:
    """A finding of ours; all of them are errors."""
    return Finding(code, Severity.ERROR, message, Where(str(path), line), fix)


def read_script(path: Path) -> Script:
    """Reads a file and looks at it. One that cannot be read is a finding like the others."""
    try:
        data = path.read_bytes()
    except OSError as error:
        fix = "Let the user who runs stockctl read it."
        unread = finding("M007", path, f"cannot be read: {error.strerror or error}", fix)
        return Script(path, b"", "", (), (), (unread,))
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = finding("M007", path, "is not UTF-8", "Save it as UTF-8.", line)
        return Script(path, data, "", (), (), (wrong,))
    headers, misplaced = _headers(path, text)
    found = [*_encoding(path, data), *misplaced, *_repeated(path, headers)]
    statements = split(text)
    if not statements:
        found.append(
            finding("M012", path, "has no statement in it", "Write one, or delete the file.", 1)
        )
    found += _transaction_control(path, text, statements)
    return Script(path, data, text, headers, statements, tuple(found))


def _transaction_control(
    path: Path, text: str, statements: Sequence[Statement]
) -> Iterator[Finding]:
    fix = "Take it out: the file is one transaction already."
    for statement in statements:
        if statement.controls_transaction:
            line = position(text, statement.start)[0]
            message = f"{statement.head[0]} would end the transaction that the file runs in"
            yield finding("M014", path, message, fix, line)


def _encoding(path: Path, data: bytes) -> Iterator[Finding]:
    if data.startswith(_BOM):
        fix = "Save it without a byte order mark: yoyo ignores the headers after one."
        yield finding("M008", path, "begins with a byte order mark", fix, 1)
    if (nul := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, nul) + 1
        yield finding("M007", path, "has a NUL byte in it", "Take it out.", line)


def _headers(path: Path, text: str) -> tuple[tuple[Header, ...], list[Finding]]:
    """The headers, and the comments that only look like one.

    yoyo reads headers in lower case from the `--` comments before anything else, and says
    nothing about others (yoyo.migrations.parse_metadata_from_sql_comments).
    """
    headers: list[Header] = []
    misplaced: list[Finding] = []
    at_top = True
    last = max((match.start() for match in _HEADER.finditer(text)), default=-1)
    for token in tokens(text):
        if token.start > last:
            break
        at_top = at_top and token.kind is Kind.COMMENT
        if token.kind is not Kind.COMMENT:
            continue
        match = _HEADER.fullmatch(text, token.start, token.end)
        if match is None:
            continue
        line, name = position(text, token.start)[0], match[1]
        if not at_top:
            fix = "Move it to the top, above statements and block comments, or reword it."
            misplaced.append(finding("M009", path, f"the header {name} is ignored here", fix, line))
        elif name not in HEADERS:
            fix = f"Write {name.lower()}."
            message = f"the header {name} is ignored: it has a capital letter"
            misplaced.append(finding("M009", path, message, fix, line))
        else:
            headers.append(Header(name, match[2].strip(), line))
    return tuple(headers), misplaced


def _repeated(path: Path, headers: tuple[Header, ...]) -> Iterator[Finding]:
    seen = {"depends": False}
    for header in headers:
        if seen.get(header.name):
            message = f"the header {header.name} is there twice"
            yield finding("M010", path, message, "Keep one of them.", header.line)
        seen[header.name] = header.name != "depends"
