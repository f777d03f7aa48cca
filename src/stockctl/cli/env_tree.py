"""`env show` for people: what an environment comes to, section by section, and who says so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stockctl.cli.findings import Clean, Line
from stockctl.core.errors import Where
from stockctl.core.secret import MASK

Path = tuple[str | int, ...]
Places = Mapping[Path, Where]

DEFAULT = "default"
_GAP = 2  # columns between a key, its value and its place
_LONGEST = 60  # columns of key and value in front of the places, where there is room


@dataclass(frozen=True, slots=True)
class Row:
    """A key with its value. A section has neither value nor place."""

    depth: int
    key: str
    value: str | None = None
    place: str = ""


def rows(title: str, document: Mapping[str, Any], places: Places, root: str) -> list[Row]:
    """Everything in a resolved environment, a table's values before its inner tables. Paths below
    `root` are shown as seen from there."""
    return [Row(0, title), *_table(_shortened(document, root), (), places)]


def variables(label: str, values: Mapping[str, str], written: Mapping[str, Where]) -> list[Row]:
    """The values of an env file, in its order."""
    found = [Row(1, key, _text(value), _short(written[key])) for key, value in values.items()]
    return [Row(0, label), *found] if found else []


def lines(rows: list[Row], clean: Clean, width: int) -> Iterator[Line]:
    """Keys and values aligned within their section, places below each other; never wider than
    `width` as long as the value itself is not."""
    cleaned = [
        Row(each.depth, clean(each.key), each.value and clean(each.value), clean(each.place))
        for each in rows
    ]
    widest = max((len(each.place) for each in cleaned), default=0)
    room = max(min(width - widest - _GAP, _LONGEST), 0)
    keys = _key_columns(cleaned)
    ends = [keys[i] + len(each.value or "") for i, each in enumerate(cleaned)]
    column = max((end for end in ends if end <= room), default=0) + _GAP
    for row, key, end in zip(cleaned, keys, ends, strict=True):
        indent = "  " * row.depth
        if row.value is None:
            if row.depth == 0 and row is not cleaned[0]:
                yield ()
            yield ((f"{indent}{row.key}", "bold"),)
            continue
        faint = "dim" if row.place == DEFAULT or row.value == MASK else ""
        yield from _value(row, f"{indent}{row.key}".ljust(key), faint, column, end, width)


def _value(row: Row, key: str, style: str, column: int, end: int, width: int) -> Iterator[Line]:
    """The place goes below where it does not fit beside the value."""
    value = row.value or ""
    if end + _GAP <= column or end + _GAP + len(row.place) <= width:
        gap = " " * max(column - end, _GAP)
        yield (key, "dim" if row.place == DEFAULT else ""), (value, style), (gap + row.place, "dim")
    else:
        yield (key, ""), (value, style)
        yield ((" " * max(min(column, width - len(row.place)), 0) + row.place, "dim"),)


def _key_columns(rows: list[Row]) -> list[int]:
    """Where the values of each row begin: one column for a top-level section."""
    columns: list[int] = []
    begin = 0
    for at in [*(i for i, row in enumerate(rows) if row.depth == 0 and row.value is None), None]:
        section = rows[begin:at]
        needed = [2 * r.depth + len(r.key) + _GAP for r in section if r.value is not None]
        columns += [max(needed, default=0)] * len(section)
        begin = len(rows) if at is None else at
    return columns


def _table(table: Mapping[str, Any], path: Path, places: Places) -> Iterator[Row]:
    inner = {key: value for key, value in table.items() if _is_section(value)}
    for key, value in table.items():
        if key not in inner:
            place = _place((*path, key), places)
            yield Row(max(len(path), 1), str(key), _text(value), place)
    for key, value in inner.items():
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield Row(len(path), f"{key}[{number}]")
                yield from _written(item, (*path, key, number), places)
        else:
            yield Row(len(path), str(key))
            yield from _table(value, (*path, key), places)


def _written(item: Mapping[str, Any], path: Path, places: Places) -> Iterator[Row]:
    """An entry of `[[smoke]]`: its defaults would drown what somebody wrote."""
    depth = len(path) - 1
    for key, value in item.items():
        place = _place((*path, key), places)
        if place != DEFAULT:
            yield Row(depth, str(key), _text(value), place)


def _is_section(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, dict) for item in value)
    return isinstance(value, dict) and bool(value)


def _place(path: Path, places: Places) -> str:
    """Of the key, or of the inline table that it stands in."""
    tables = {known[:-1] for known in places}
    while len(path) > 1 and path not in places:
        path = path[:-1]
    return _short(places[path]) if path in places and path not in tables else DEFAULT


def _shortened(value: Any, root: str) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item, root) for item in value]
    return value.removeprefix(f"{root}/") if isinstance(value, str) else value


def _short(where: Where) -> str:
    """`file:line`: every key begins its line."""
    return str(Where(where.file, where.line))


def _text(value: Any) -> str:
    """As short as it stays clear."""
    if isinstance(value, str) and value.strip() == value and value.isprintable() and value:
        return value
    if isinstance(value, list) and value:
        return ", ".join(_text(item) for item in value)
    return "none" if value in ([], {}) else json.dumps(value, ensure_ascii=False)
