"""Values for a column, as text that PostgreSQL reads: different ones for different rows.

They keep away from what migrations write themselves: numbers are high (a seed row has id 1), texts
say where they come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from itertools import chain

from stockctl.db.proof.shape import Column, Type

_STRING = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"(?<![\w.'])-?\d+(?:\.\d+)?(?![\w'])")
_FROM = {"int2": 20_000, "int4": 900_000_000, "int8": 9_000_000_000_000, "oid": 900_000_000}
_NUMERIC_HEADER = 4  # VARHDRSZ: what a typmod has on top of the length
_SHAPES = (
    "user{n}@example.com",
    "https://example.com/{n}",
    "+49301234{n:04}",
    "name-{n}",
    "name_{n}",
    "Name{n}",
    "{n:08}",
    "{n:05}",
    "2026-01-{d:02}",
    "AA",
    "a",
    "A long enough text, with more than thirty characters: {n}",
    "{h}",
)
_FIXED = {
    "bool": ("true", "false"),
    "json": ('{{"n": {n}}}', "[]", "{{}}"),
    "jsonb": ('{{"n": {n}}}', "[]", "{{}}"),
    "bytea": ("\\x{n:08x}",),
    "uuid": ("00000000-0000-4000-8000-{n:012}",),
    "inet": ("10.0.{d}.{d}",),
    "cidr": ("10.0.{d}.0/24",),
    "macaddr": ("02:00:00:00:00:{d:02x}",),
    "macaddr8": ("02:00:00:00:00:00:00:{d:02x}",),
    "interval": ("{n} seconds", "1 day"),
    "time": ("12:{d:02}:00",),
    "timetz": ("12:{d:02}:00+00",),
    "money": ("{n}",),
    "tsvector": ("word{n}",),
    "tsquery": ("word{n}",),
    "xml": ("<n>{n}</n>",),
    "point": ("({n},{n})",),
    "line": ("{{1,2,{n}}}",),
    "lseg": ("[(0,0),({n},1)]",),
    "box": ("(({n},{n}),(0,0))",),
    "path": ("((0,0),({n},1))",),
    "polygon": ("((0,0),({n},1),(1,0))",),
    "circle": ("<(0,0),{n}>",),
    "pg_lsn": ("0/{n:X}",),
    "hstore": ("n=>{n}",),
    "ltree": ("top.n{n}",),
    "vector": ("[{n}]",),
    "name": ("name_{n}",),
    "char": ("a", "b"),
    "citext": ("stockctl-{n}",),
    "xid": ("{n}",),
    "regclass": ("pg_class",),
}


class Values:
    """Candidates for the values of columns; `types` by oid."""

    def __init__(self, types: Mapping[int, Type]) -> None:
        self._types = types

    def candidates(self, column: Column, row: int, checks: Iterable[str] = ()) -> tuple[str, ...]:
        """The first is the plain one; the others are for constraints, whose own text tells most
        about what they let pass. Empty for a type that nothing is known of."""
        demanded = list(checks)
        kind = self._types[column.type]
        while kind.kind == "d":
            demanded.append(kind.checks)
            kind = self._types[kind.base]
        plain = self._plain(column.type, column.modifier, row)
        if not plain:
            return ()
        hints = chain.from_iterable(_hints(text, kind.category, row) for text in demanded if text)
        found = tuple(dict.fromkeys((*hints, *plain))) if any(demanded) else plain
        return (plain[0], *(each for each in found if each != plain[0]))

    def _plain(self, oid: int, modifier: int, row: int) -> tuple[str, ...]:
        kind = self._types.get(oid)
        if kind is None:
            return ()
        match kind.kind:
            case "e":
                count = len(kind.labels)
                return tuple(kind.labels[(row + n) % count] for n in range(count))
            case "d":
                own = kind.modifier if kind.modifier >= 0 else modifier
                return self._plain(kind.base, own, row)
            case "r":
                return self._range(kind, row)
            case "m":
                return ("{}",)
            case "c":
                return self._composite(kind, row)
        if kind.element:
            inner = self._plain(kind.element, modifier, row)
            quoted = inner[0].replace("\\", "\\\\").replace('"', '\\"') if inner else ""
            return (f'{{"{quoted}"}}', "{}") if inner else ("{}",)
        return _base(kind, modifier, row)

    def _range(self, kind: Type, row: int) -> tuple[str, ...]:
        low, high = self._plain(kind.subtype, -1, row), self._plain(kind.subtype, -1, row + 1)
        return (f'["{low[0]}","{high[0]}")', "empty") if low and high else ("empty",)

    def _composite(self, kind: Type, row: int) -> tuple[str, ...]:
        fields = [self._plain(each, -1, row) for each in kind.fields]
        texts = (
            each[0].replace('"', '""').replace("\\", "\\\\") if each else "" for each in fields
        )
        return ("(" + ",".join(f'"{text}"' if text else "" for text in texts) + ")",)


def _base(kind: Type, modifier: int, row: int) -> tuple[str, ...]:
    if kind.name in _FIXED:
        return tuple(each.format(n=row + 1, d=row % 28 + 1) for each in _FIXED[kind.name])
    if kind.name in _FROM:
        return (str(_FROM[kind.name] + row), str(row + 1), "0", "50", "-1")
    if kind.name in ("numeric", "float4", "float8"):
        return _numeric(modifier if kind.name == "numeric" else -1, row)
    if kind.name in ("bit", "varbit"):
        width = modifier if modifier > 0 else 1
        return (bin(row % 2**width)[2:].zfill(width),)
    if kind.category == "D":
        return tuple(str(date(2001 + years, 1, 1) + timedelta(row)) for years in (0, 25, 60))
    if kind.category == "S":
        return _texts(modifier, row)
    return ()


def _numeric(modifier: int, row: int) -> tuple[str, ...]:
    """The modifier holds precision and scale (`make_numeric_typmod` in numeric.c)."""
    if modifier < 0:
        return (str(900_000 + row), str(row + 1), "0", "0.5", "-1")
    packed = modifier - _NUMERIC_HEADER
    precision, scale = packed >> 16, packed & 0x7FF
    if scale >= 1024:
        return ("0",)
    whole = max(precision - scale, 0)
    if not whole:
        return (f"0.{str(row + 1).zfill(scale)[-scale:]}", "0")
    return (str((row + 1) % 10**whole), "0")


def _texts(modifier: int, row: int) -> tuple[str, ...]:
    room = modifier - _NUMERIC_HEADER if modifier >= 0 else 10_000
    short = f"{row:x}"[-room:]
    plain = f"stockctl-{row}" if room >= 12 else short
    shaped = (each.format(n=row + 1, d=row % 28 + 1, h=f"{row + 1:064x}") for each in _SHAPES)
    return (plain, *(each for each in shaped if len(each) <= room))


def _hints(text: str, category: str, row: int) -> list[str]:
    """What stands in a constraint: its texts, its numbers and their neighbours."""
    found = [each.replace("''", "'") for each in _STRING.findall(text)]
    if category == "N":
        bare = [float(each) for each in (*_NUMBER.findall(text), *filter(_is_number, found))]
        near = [number + step for number in bare for step in (0, 1, -1, 0.5)]
        return [f"{number:.10g}" for number in near]
    first = row % len(found) if found else 0
    return found[first:] + found[:first]


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None
