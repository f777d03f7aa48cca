"""A query as one may show it: what it does, without the values in it, which may be secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stockctl.db.statements import Kind, tokens

MASK = "?"
_SPACES = re.compile(r"\s+")
_LIST = re.compile(r"\?(?: ?, ?\?)+")
_COMMENTS = (Kind.COMMENT, Kind.BLOCK)


def masked(sql: str) -> str:
    """On one line, without comments, with `?` for every string and number; `$1` stays.

    A text that was cut in the middle of a string ends there. Where it cannot be told how far a
    string goes, the rest is left out.
    """
    return _LIST.sub("?, …", _SPACES.sub(" ", "".join(_parts(sql))).strip())


def _parts(sql: str) -> Iterator[str]:
    end, number = 0, False
    for token in tokens(sql):
        text, adjacent = sql[token.start : token.end], token.start == end
        after_dollar = sql[token.start - 1 : token.start] == "$"
        end = token.end
        if not adjacent:
            yield " "
        if number and adjacent and (token.kind is Kind.WORD or text[0] in ".0123456789"):
            continue  # 0xFF, 1e9, 1.5: one number
        number = text[0].isdigit() and not after_dollar
        if number or token.kind in (Kind.STRING, Kind.DOLLAR):
            yield MASK
        elif token.kind not in _COMMENTS:
            yield text
        if token.kind is Kind.STRING and _uncertain(text):
            yield " …"
            return


def _uncertain(text: str) -> bool:
    r"""Holds `\'`, which ends a string or does not: `standard_conforming_strings` decides."""
    return text[0] not in "eE" and "\\'" in text
