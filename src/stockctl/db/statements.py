"""Where statements begin and end in a file of SQL.

Follows PostgreSQL's own scanner (src/backend/parser/scan.l) and, for the bodies of SQL-standard
functions, psql's (src/fe_utils/psqlscan.l). `standard_conforming_strings` is on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

_SPACE = r"[ \t\n\r\f\v]"
# letters, _ and what is not ASCII; said as what it is not, which compiles in a tenth of the time
_FIRST = r"[^\x00-@\[-^`{-\x7f]"
_NEXT = r"[^\x00-#%-/:-@\[-^`{-\x7f]"  # and digits, and $
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
    | (?P<dollar>\$(?:{_FIRST}(?:(?!\$){_NEXT})*)?\$)
    | (?P<word>{_FIRST}{_NEXT}*)
    | (?P<other>[0-9]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
# Statements by the thousand are inserts: what cannot end one is passed over in one step, a list in
# parentheses as well. Left to be looked at are ; ( ) comments, $, E'…' and what is not closed.
_WORD = rf"(?![eE]'){_FIRST}{_NEXT}*+"
_PLAIN = (
    rf"""[\x00-!#%&*+,.0-9:<=>?@\[\\\]^`{{|}}~\x7f]++|{_WORD}|'[^']*+'|"[^"]*+"|-(?!-)|/(?!\*)"""
)
_PASSED_OVER = re.compile(rf"(?:{_PLAIN}|\((?:{_PLAIN})*+\))*+")
_BODY = re.compile("atomic", re.IGNORECASE)
_BLANKS = " \t\n\r\f\v"
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

    def text(self, sql: str) -> str:
        """As it stands; a word in capitals."""
        text = sql[self.start : self.end]
        return text.upper() if self.kind is Kind.WORD else text


_ENDS_TRANSACTION = re.compile(
    r"(?:ROLLBACK|START|PREPARE|BEGIN|COMMIT|END|ABORT)(?!" + _NEXT + ")",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """`sql[start:end]`, without its semicolon."""

    start: int
    end: int
    sql: str = field(repr=False, compare=False)

    @property
    def head(self) -> tuple[str, ...]:
        """Its first tokens, words in capitals."""
        found = (
            token.text(self.sql)
            for token in tokens(self.sql, self.start, self.end)
            if token.kind not in (Kind.COMMENT, Kind.BLOCK)
        )
        return tuple(islice(found, _HEAD))

    @property
    def controls_transaction(self) -> bool:
        """COMMIT and its kin, which would take the transaction out of our hands."""
        if not _ENDS_TRANSACTION.match(self.sql, self.start):
            return False
        first, second = (*self.head, "", "")[:2]
        if first == "ROLLBACK":
            return "TO" not in self.head
        if first in ("START", "PREPARE"):
            return second == "TRANSACTION"
        return True


def tokens(sql: str, start: int = 0, stop: int | None = None) -> Iterator[Token]:
    """All of `sql[start:stop]` but the white space; what is not closed goes on to the end."""
    at, stop = start, len(sql) if stop is None else stop
    while at < stop:
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


class _Body:
    """`CREATE FUNCTION … BEGIN ATOMIC a; b; END` is one statement: inside of one or not."""

    def __init__(self) -> None:
        self.depth = 0
        self._first = self._previous = ""

    def take(self, word: str) -> None:
        """A word of a statement, in capitals."""
        self._first = self._first or word
        if self.depth:
            self.depth += (word == "CASE") - (word == "END")
        elif (self._previous, word) == ("BEGIN", "ATOMIC") and self._first == "CREATE":
            self.depth = 1
        self._previous = word


def split(sql: str) -> tuple[Statement, ...]:
    """The statements of `sql`; empty ones are none."""
    places = _split_with_bodies(sql) if _BODY.search(sql) else _split(sql)
    return tuple(Statement(start, end, sql) for start, end in places if end > start)


def _split_with_bodies(sql: str) -> Iterator[tuple[int, int]]:
    """Token by token."""
    start = end = parentheses = 0
    body = _Body()
    for token in tokens(sql):
        if token.kind is Kind.COMMENT or token.kind is Kind.BLOCK:
            continue
        text = token.text(sql)
        if text == ";" and not parentheses and not body.depth:
            yield start, end
            start = end = 0
            body = _Body()
            continue
        if end == 0:
            start = token.start
        end = token.end
        parentheses = max(0, parentheses + (text == "(") - (text == ")"))
        if token.kind is Kind.WORD:
            body.take(text)
    yield start, end


def _split(sql: str) -> Iterator[tuple[int, int]]:
    """The same where no function has a body of statements."""
    at = start = end = parentheses = 0
    while at < len(sql):
        passed = _PASSED_OVER.match(sql, at)
        assert passed is not None
        if text := passed.group().strip(_BLANKS):
            first = sql.index(text[0], at)
            start, end = (start if end else first), first + len(text)
        at = passed.end()
        if at == len(sql):
            break
        token = next(tokens(sql, at))
        at = token.end
        mark = sql[token.start]
        if mark == ";" and not parentheses:
            yield start, end
            start = end = 0
        elif token.kind is not Kind.COMMENT and token.kind is not Kind.BLOCK:
            start, end = (start if end else token.start), token.end
            parentheses = max(0, parentheses + (mark == "(") - (mark == ")"))
    yield start, end


def closed(sql: str, statements: tuple[Statement, ...]) -> bool:
    """Whether another statement may be put behind the last one: no string, comment or parenthesis
    goes on to the end."""
    if statements and sql[statements[-1].end :].strip(_BLANKS) == ";":
        return True  # it did end one: within anything it would be a part of the statement
    tail = sql[statements[-1].start :] if statements else sql
    return len(split(f"{tail}\n;closed")) == min(len(statements), 1) + 1


def position(sql: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    return sql.count("\n", 0, offset) + 1, offset - sql.rfind("\n", 0, offset)
