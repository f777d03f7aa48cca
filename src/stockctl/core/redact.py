"""Masks known secrets and the shapes of credentials in any text that is about to be shown."""

from __future__ import annotations

import re
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stockctl.core.secret import MASK, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

# Shorter values would mask ordinary words; `env validate` refuses secrets this short anyway.
SHORTEST_KNOWN_SECRET = 6

# Compiled, and then remembered, by `re` when the first text comes: 1 ms of every start. Before
# each what a text must hold, as it stands, for the shape to be in it: most hold none.
_SHAPES = (
    # user:password@ in a URL; the user stays readable
    # and an unescaped `@` belongs to the password where one more follows
    ("://", r"(?i)(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@]+(?:@[^\s@\"',]+)*(?=@)"),
    ("", r"(?i)(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"),
    # also as the end of a longer name: POSTGRES_PASSWORD, PGPASSWORD, "session_token"
    (
        "",
        r"(?i)(?P<keep>(?:api[_-]?key|password|passwd|secret|token)[\"']?\s*[=:]\s*)"
        r"(?:\"[^\"\n]{4,}\"|'[^'\n]{4,}'|[\"']?[^\s\"',;&]{4,})",
    ),
    ("sk-", r"(?P<keep>)\bsk-[A-Za-z0-9_-]{8,}"),
    ("AGE-SECRET-KEY-1", r"(?P<keep>)\bAGE-SECRET-KEY-1[0-9A-Z]+"),
    ("AKIA", r"(?P<keep>)\bAKIA[0-9A-Z]{16}\b"),
)


class Redactor:
    """Knows some secrets and the shapes of the rest."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._known: dict[str, set[str]] = {}  # by their first characters
        self._learnt: deque[Secret] = deque()
        self._lock = Lock()  # the lines of a tool are heard on a thread of their own
        self.learn(secrets)

    def learn(self, secrets: Iterable[Secret]) -> None:
        """From now on these are masked, plain and percent-encoded, wherever they appear.

        Of several lines also each by itself, since tools are heard line by line.
        """
        self._learnt.extend(secrets)

    def _learn(self) -> None:
        """Done when the first text comes: 100,000 values take 400 ms, and often nothing is said.

        None leaves the queue before it is known, so that no other thread goes on without it.
        """
        with self._lock:
            while self._learnt:
                text = self._learnt[0].reveal()
                for value in (text, *text.splitlines()):
                    if len(value) >= SHORTEST_KNOWN_SECRET:
                        self._add(value)
                        self._add(quote(value, safe=""))
                self._learnt.popleft()

    def _add(self, value: str) -> None:
        self._known.setdefault(value[:SHORTEST_KNOWN_SECRET], set()).add(value)

    def text(self, text: str) -> str:
        """`text` with every known secret and every credential shape replaced by `***`."""
        if self._learnt:
            self._learn()
        if self._known:
            text = self._mask(text)
        for sign, shape in _SHAPES:
            if sign in text:
                text = re.sub(shape, rf"\g<keep>{MASK}", text)
        return text

    def _mask(self, text: str) -> str:
        """No regular expression: one of a hundred thousand secrets takes seconds to build."""
        known, width = self._known, SHORTEST_KNOWN_SECRET
        starts = [i for i in range(len(text) - width + 1) if text[i : i + width] in known]
        parts, done = [], 0
        for start in starts:
            if start < done:
                continue
            hits = [s for s in known[text[start : start + width]] if text.startswith(s, start)]
            if hits:
                parts += [text[done:start], MASK]
                done = start + max(map(len, hits))
        return "".join((*parts, text[done:]))

    def data(self, value: Any) -> Any:
        """The same for everything inside a JSON document."""
        return self._data(value, {})

    def _data(self, value: Any, seen: dict[str, str]) -> Any:
        """In a list of ten thousand the keys, and most values, come again and again."""
        if isinstance(value, str):
            if value not in seen:
                seen[value] = self.text(value)
            return seen[value]
        if isinstance(value, Secret):
            return MASK
        if isinstance(value, dict):
            return {self._data(key, seen): self._data(item, seen) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._data(item, seen) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(str(value))  # a Path, a date: what json would ask `default` for
