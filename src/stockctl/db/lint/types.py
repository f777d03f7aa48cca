"""Types of columns: what a definition says, and which change of type costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_ENDS = (
    "NOT", "NULL", "DEFAULT", "PRIMARY", "UNIQUE", "CHECK", "REFERENCES", "GENERATED", "COLLATE",
    "CONSTRAINT", "STORAGE", "COMPRESSION", "USING", "OPTIONS", "DEFERRABLE", "INITIALLY",
)  # fmt: skip
_ALIASES = {
    "int": "integer", "int4": "integer", "serial": "integer", "serial4": "integer",
    "int8": "bigint", "bigserial": "bigint", "serial8": "bigint",
    "int2": "smallint", "smallserial": "smallint", "serial2": "smallint",
    "float4": "real", "float8": "double precision", "float": "double precision",
    "bool": "boolean", "decimal": "numeric", "dec": "numeric",
    "varchar": "character varying", "char varying": "character varying",
    "char": "character", "bpchar": "character", "bit varying": "varbit",
    "timestamptz": "timestamp with time zone", "timestamp without time zone": "timestamp",
    "timetz": "time with time zone", "time without time zone": "time",
}  # fmt: skip
_WIDER = {
    ("smallint", "integer"), ("smallint", "bigint"), ("integer", "bigint"),
    ("real", "double precision"), ("integer", "numeric"), ("bigint", "numeric"),
    ("smallint", "numeric"), ("character", "text"), ("date", "timestamp"),
}  # fmt: skip
# no new values and no check of the old ones: "binary coercible", pg_cast.castmethod = 'b'
_SAME_BYTES = {
    ("character varying", "text"), ("text", "character varying"), ("cidr", "inet"),
    ("citext", "text"), ("bit", "varbit"),
}  # fmt: skip
_BY_LENGTH = {
    "character varying", "varbit", "numeric", "timestamp", "timestamp with time zone", "time",
    "time with time zone", "interval",
}  # fmt: skip
SERIALS = ("SERIAL", "BIGSERIAL", "SMALLSERIAL", "SERIAL2", "SERIAL4", "SERIAL8")


@dataclass(frozen=True, slots=True)
class Type:
    """`numeric(10, 2)`: a name as the catalog has it, and its modifiers."""

    name: str
    modifiers: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.name + (f"({','.join(map(str, self.modifiers))})" if self.modifiers else "")


def clause(words: Sequence[str], begin: str = "") -> tuple[str, ...]:
    """What stands behind `begin` (or at the start), up to the next part of a definition."""
    found: list[str] = []
    if begin:
        if begin not in words:
            return ()
        words = words[list(words).index(begin) + 1 :]
    depth = 0
    for word in words:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(word, 0)
        if depth == 0 and word in _ENDS and (found or not begin):
            break
        found.append(word)
    return tuple(found)


def read_type(words: Sequence[str]) -> Type:
    """Of the words of a type, as `clause` gives them."""
    depth, names, modifiers = 0, [], []
    for word in words:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word.isdigit() and depth:
            modifiers.append(int(word))
        elif word not in "()," and not depth:
            names.append(word.lower())
    name = " ".join(names).replace(" [ ]", "[]").removeprefix("pg_catalog . ")
    return Type(_ALIASES.get(name, name), tuple(modifiers))


def is_free(old: Type, new: Type) -> bool:
    """Whether PostgreSQL changes only the catalog: ATColumnChangeRequiresRewrite in tablecmds.c,
    https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"""
    if old == new:
        return True
    if (old.name, new.name) in _SAME_BYTES:
        return not new.modifiers
    if old.name != new.name or new.name not in _BY_LENGTH:
        return False
    if not new.modifiers:
        return True
    if not old.modifiers or len(old.modifiers) != len(new.modifiers):
        return False
    return old.modifiers[0] <= new.modifiers[0] and old.modifiers[1:] == new.modifiers[1:]


def is_wider(old: Type, new: Type) -> bool:
    """Whether the old release can go on writing what it writes."""
    return is_free(old, new) or (old.name, new.name) in _WIDER
