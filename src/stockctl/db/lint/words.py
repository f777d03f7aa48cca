"""The words of a statement, read one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stockctl.db.statements import Kind, tokens

_SILENT = (Kind.COMMENT, Kind.BLOCK)


class Piece(NamedTuple):
    """A token at an offset of the file; a word without quotes is in capitals."""

    word: str
    start: int


def pieces(sql: str, start: int, end: int) -> tuple[Piece, ...]:
    """Those of `sql[start:end]`, without the comments."""
    text = sql[start:end]
    found = []
    for token in tokens(text):
        if token.kind not in _SILENT:
            word = text[token.start : token.end]
            found.append(Piece(_folded(word, token.kind), start + token.start))
    return tuple(found)


def _folded(word: str, kind: Kind) -> str:
    """PostgreSQL folds ASCII letters only where the encoding is UTF-8 (downcase_identifier)."""
    return word.upper() if kind is Kind.WORD and word.isascii() else word


def canonical(word: str) -> str:
    """A name as the catalog has it."""
    if word.startswith('"'):
        return word[1:-1].replace('""', '"')
    return word.lower() if word.isascii() else word


class Reader:
    """A place in the words, which moves on as they are taken."""

    def __init__(self, words: Sequence[Piece]) -> None:
        self.pieces = words
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        """`""` at the end."""
        at = self.at + ahead
        return self.pieces[at].word if at < len(self.pieces) else ""

    def take(self, *words: str) -> bool:
        """Moves over these words if all of them are here."""
        here = all(self.peek(number) == word for number, word in enumerate(words))
        self.at += len(words) * here
        return here

    def take_any(self, *words: str) -> None:
        """Moves over each of these, as long as one is here."""
        while self.peek() in words:
            self.at += 1

    def name(self) -> str:
        """A name with the schema, if one is written; `public` goes without saying."""
        parts = [canonical(self.peek())] if self.at < len(self.pieces) else []
        self.at += 1
        while self.peek() == "." and self.peek(1):
            parts.append(canonical(self.peek(1)))
            self.at += 2
        return ".".join(parts[1:] if parts[:1] == ["public"] and len(parts) > 1 else parts)

    def rest(self) -> tuple[Piece, ...]:
        return tuple(self.pieces[self.at :])

    def inside(self) -> tuple[Piece, ...]:
        """Moves over a parenthesis; what stands in it."""
        if self.peek() != "(":
            return ()
        start, depth = self.at + 1, 0
        while self.at < len(self.pieces):
            depth += {"(": 1, ")": -1}.get(self.peek(), 0)
            self.at += 1
            if depth == 0:
                return tuple(self.pieces[start : self.at - 1])
        return tuple(self.pieces[start:])


def by_comma(words: Sequence[Piece]) -> Iterator[tuple[Piece, ...]]:
    """The parts between the commas that stand in no parenthesis."""
    depth, begin = 0, 0
    for number, piece in enumerate(words):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(piece.word, 0)
        if piece.word == "," and depth == 0:
            yield tuple(words[begin:number])
            begin = number + 1
    if begin < len(words):
        yield tuple(words[begin:])


def outside(words: Sequence[str]) -> Iterator[str]:
    """Those that stand in no parenthesis."""
    depth = 0
    for word in words:
        depth -= word == ")"
        if depth == 0:
            yield word
        depth += word == "("
