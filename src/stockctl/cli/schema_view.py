"""Differences between two schemas on the terminal and for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stockctl.cli.findings import Line

if TYPE_CHECKING:
    from stockctl.db.catalog.diff import Difference

_COLOURS = {"-": "red", "+": "green"}
_INDENT = "    "


def coloured(
    texts: Iterable[str], clean: Callable[[str], str], indent: str = _INDENT
) -> Iterator[Line]:
    """Lines of a diff, below what they belong to."""
    for text in texts:
        yield ((f"{indent}{clean(text)}", _COLOURS.get(text[:1], "dim")),)


def blocks(differences: Sequence[Difference], clean: Callable[[str], str]) -> Iterator[Line]:
    """Each object with its name above."""
    for each in differences:
        yield ((f"{clean(str(each.key))}:", "bold"),)
        yield from coloured(each.lines, clean)
        yield ()


def as_data(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """For programs. `side`: whether both have the object, or only one of the two."""
    return [
        {"object": str(each.key), "kind": each.key.kind, "side": side(each), "diff": each.text}
        for each in differences
    ]


def side(difference: Difference) -> str:
    """`missing` is not in the second schema, `extra` only there."""
    signs = {line[:1] for line in difference.lines}
    if signs <= {"-"}:
        return "missing"
    return "extra" if signs <= {"+"} else "changed"
