"""Where statements begin and end in a file of SQL.

Follows PostgreSQL's own scanner (src/backend/parser/scan.l) and, for the bodies of SQL-standard
functions, psql's (src/fe_utils/psqlscan.l). `standard_conforming_strings` is on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_SPACE = r"[ \t\n\r\f\v]"
_ESCAPED = r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*"
# an E'…' string goes on after a line break, with its escapes
_GOES_ON = rf"[ \t\f\v]*(?:--[^\r\n]*)?[\r\n](?:{_SPACE}|--[^\r\n]*[\r\n])*"
_TOKEN = re.compile(
    rf"""
      {_SPACE}+
    | (?P<comment>--[^\r\n]*)
    | (?P<block>/\*)
    | (?P<string>[eE]'{_ESCAPED}(?:'{_GOES_ON}'{_ESCAPED})*'?
        | (?:[uU]&|[bBxXnN])?'[^']*(?:''[^']*)*'?)
    | (?P<quoted>(?:[uU]&)?"[^"]*(?:""[^"]*)*"?)
    | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    | (?P<other>[0-9]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
# Enough to tell what a statement is: CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a ON ONLY b.c
_HEAD = 16


class Kind(StrEnum):
    """What a token is, as far as it matters here."""

    COMMENT = "comment"
    BLOCK = "block"
    STRING = "string"
    QUOTED = "quoted"
    DOLLAR = "dollar"
    WORD = "word"
    OTHER = "other"


_KINDS = {kind.value: kind for kind in Kind}


class Token(NamedTuple):
    """`sql[start:end]`."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Statement:
    """`sql[start:end]`, without its semicolon; `head` is its first tokens, words in capitals."""

    start: int
    end: int
    head: tuple[str, ...]

    @property
    def controls_transaction(self) -> bool:
        """COMMIT and its kin, which would take the transaction out of our hands."""
        first, second = (*self.head, "", "")[:2]
        if first == "ROLLBACK":
            return "TO" not in self.head
        if first in ("START", "PREPARE"):
            return second == "TRANSACTION"
        return first in ("BEGIN", "COMMIT", "END", "ABORT")


def tokens(sql: str) -> Iterator[Token]:
    """All of `sql` but the white space; what is not closed goes on to the end."""
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        assert match is not None
        end = match.end()
        if match.lastgroup is None:  # white space
            at = end
            continue
        kind = _KINDS[match.lastgroup]
        if kind is Kind.BLOCK:
            end = _block_end(sql, at)
        elif kind is Kind.DOLLAR:
            closing = sql.find(match.group(), end)
            end = closing + len(match.group()) if closing >= 0 else len(sql)
        yield Token(kind, at, end)
        at = end


def _block_end(sql: str, start: int) -> int:
    """Block comments nest."""
    depth = 0
    for edge in _BLOCK_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


class _Reader:
    """Collects the tokens of one statement; knows whether a semicolon ends it."""

    def __init__(self) -> None:
        self.start = self.end = -1
        self.head: list[str] = []
        self._parentheses = 0
        self._body = 0
        self._previous = ""

    @property
    def open(self) -> bool:
        return self._parentheses > 0 or self._body > 0

    def take(self, token: Token, text: str) -> None:
        if not self.head:
            self.start = token.start
        self.end = token.end
        word = text.upper() if token.kind is Kind.WORD else text
        if len(self.head) < _HEAD:
            self.head.append(word)
        if word == "(":
            self._parentheses += 1
        elif word == ")" and self._parentheses:
            self._parentheses -= 1
        elif token.kind is Kind.WORD:
            self._follow_body(word)

    def _follow_body(self, word: str) -> None:
        """`CREATE FUNCTION … BEGIN ATOMIC a; b; END` is one statement."""
        if self._body:
            self._body += (word == "CASE") - (word == "END")
        elif (self._previous, word) == ("BEGIN", "ATOMIC") and self.head[0] == "CREATE":
            self._body = 1
        self._previous = word


def split(sql: str) -> tuple[Statement, ...]:
    """The statements of `sql`; empty ones are none."""
    found: list[Statement] = []
    reader = _Reader()
    for token in tokens(sql):
        if token.kind is Kind.COMMENT or token.kind is Kind.BLOCK:
            continue
        text = sql[token.start : token.end]
        if text == ";" and not reader.open:
            if reader.head:
                found.append(Statement(reader.start, reader.end, tuple(reader.head)))
            reader = _Reader()
        else:
            reader.take(token, text)
    if reader.head:
        found.append(Statement(reader.start, reader.end, tuple(reader.head)))
    return tuple(found)


def position(sql: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    return sql.count("\n", 0, offset) + 1, offset - sql.rfind("\n", 0, offset)
