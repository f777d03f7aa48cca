"""What differs between two rendered configurations: where, never what, since values are secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stockctl.system.compose import Rendered

DEPTH = 2  # `environment.KEY`, `healthcheck.test`; what lies deeper is one thing


class Kind(StrEnum):
    """How something differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place: a service (None: of the project, like a volume) and the path in it. An empty path
    is all of it."""

    service: str | None
    path: str
    kind: Kind


def differences(before: Rendered, after: Rendered) -> tuple[Difference, ...]:
    """By service and path. The caller pins both alike, or the images differ."""
    old, new = before.document["services"], after.document["services"]
    found = [
        Difference(path[0], ".".join(path[1:]), kind)
        for path, kind in _compare(old, new, (), DEPTH + 1)
    ]
    rest = _compare(_rest(before), _rest(after), (), DEPTH)
    return (*found, *(Difference(None, ".".join(path), kind) for path, kind in rest))


def _rest(rendered: Rendered) -> dict[str, Any]:
    return {key: value for key, value in rendered.document.items() if key != "services"}


def _compare(
    before: Any, after: Any, path: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], Kind]]:
    if before == after:
        return
    if not (depth and isinstance(before, dict) and isinstance(after, dict)):
        yield path, Kind.CHANGED
        return
    for key in sorted(before.keys() | after.keys()):
        here = (*path, str(key))
        if key not in before or key not in after:
            yield here, Kind.REMOVED if key in before else Kind.ADDED
        else:
            yield from _compare(before[key], after[key], here, depth - 1)
