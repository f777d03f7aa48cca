"""Two schemas beside each other: which objects differ, and in which lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff

from stockctl.db.catalog.nouns import Catalog, Key

CONTEXT = 3  # unchanged lines around a changed one
LONGEST = 60  # lines of one object


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is not the same on both sides. `lines` begin with a space (both have it),
    `-` (only the first) or `+` (only the second)."""

    key: Key
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def differences(first: Catalog, second: Catalog) -> tuple[Difference, ...]:
    """Objects of the first that are missing in the second or changed, and new ones, by key."""
    before, after = first.texts, second.texts
    changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    return tuple(
        Difference(key, tuple(_lines(before.get(key), after.get(key)))) for key in sorted(changed)
    )


def _lines(before: str | None, after: str | None) -> Iterator[str]:
    a, b = _split(before), _split(after)
    found = list(unified_diff(a, b, lineterm="", n=CONTEXT))[2:]
    shown = [line for line in found if not line.startswith("@@")]
    yield from shown[:LONGEST]
    if len(shown) > LONGEST:
        yield f"  … {len(shown) - LONGEST} more lines"


def _split(text: str | None) -> Sequence[str]:
    return text.split("\n") if text is not None else ()
