"""Privileges as a dump has them: GRANT and REVOKE taken apart, so that each can be judged.

The form is what pg_dump writes (buildACLCommands, buildDefaultACLCommands in dumputils.c): one
grantee a statement, names quoted where they must be. Text of any other form is not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stockctl.backup.archive import Contents
from stockctl.backup.archive_head import Entry

_TOKEN = re.compile(r'\s*("(?:[^"]|"")+"|[a-zA-Z_][a-zA-Z0-9_$]*|[0-9]+|[.,()\[\];])')
_KINDS = (
    ("FOREIGN", "DATA", "WRAPPER"),
    ("FOREIGN", "SERVER"),
    ("FUNCTION",),
    ("LANGUAGE",),
    ("LARGE", "OBJECT"),
    ("PROCEDURE",),
    ("SCHEMA",),
    ("SEQUENCE",),
    ("TABLE",),
    ("TYPE",),
)
_DEFAULTS = {"TABLES", "SEQUENCES", "FUNCTIONS", "ROUTINES", "TYPES", "SCHEMAS", "LARGE"}
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
# What is on the database itself comes with its other properties.
_DATABASE = "DATABASE "
_MANY = "LARGE OBJECTS "


class NotUnderstood(ValueError):
    """Not what pg_dump writes."""


@dataclass(frozen=True, slots=True)
class Privilege:
    """One GRANT or REVOKE.

    `head` is the statement up to the object `on`; `role` gets or loses it, empty for PUBLIC.
    `grantor` is who passes on what he was given, empty for `owner`, whose the object is. For
    default privileges `on` is empty and `owner` is the role whose future objects they are for.
    """

    head: str
    on: str
    role: str
    owner: str
    gives: bool
    grantor: str = ""
    grantable: bool = False
    is_default: bool = False

    @property
    def kind(self) -> str:
        """Of the object: TABLE, LARGE OBJECT."""
        return self.head.rpartition(" ON ")[2]

    def text(self) -> str:
        """SQL for one statement."""
        who = quoted(self.role) if self.role else "PUBLIC"
        way = "TO" if self.gives else "FROM"
        option = " WITH GRANT OPTION" if self.grantable else ""
        on = f" {self.on}" if self.on else ""
        return f"{self.head}{on} {way} {who}{option}"


def quoted(name: str) -> str:
    """An identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def privileges(contents: Contents) -> tuple[list[Privilege], list[str]]:
    """In the order of the dump; and the names of the entries that are not understood."""
    large = {_MANY + e.name: e.sql.split() for e in contents.of_kind("BLOB METADATA")}
    found: list[Privilege] = []
    strange = []
    for entry in contents.of_kind("ACL", "DEFAULT ACL"):
        if entry.name.startswith(_DATABASE):
            continue
        try:
            of_entry = list(read(entry))
        except NotUnderstood:
            strange.append(entry.name)
            continue
        # Since PostgreSQL 17 one entry stands for many large objects and names the first.
        for number in large.get(entry.name, [""]):
            found += [replace(each, on=number) if number else each for each in of_entry]
    return found, strange


def of_table(contents: Contents, table: Entry) -> list[Privilege]:
    """Those on one table and on its columns."""
    on = f"{quoted(table.schema)}.{quoted(table.name)}"
    return [p for p in privileges(contents)[0] if p.kind == "TABLE" and p.on == on]


def read(entry: Entry) -> Iterator[Privilege]:
    """Raises NotUnderstood."""
    grantor = ""
    for words in _statements(entry.sql):
        if words[:3] == ["SET", "SESSION", "AUTHORIZATION"] and len(words) == 4:
            grantor = _name(words[3])
        elif words == ["RESET", "SESSION", "AUTHORIZATION"]:
            grantor = ""
        elif words[:5] == ["ALTER", "DEFAULT", "PRIVILEGES", "FOR", "ROLE"] and len(words) > 6:
            yield _default(words)
        else:
            yield _privilege(words, entry.owner, grantor)


def _statements(text: str) -> Iterator[list[str]]:
    words: list[str] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise NotUnderstood
        position = found.end()
        if found[1] != ";":
            words.append(found[1])
        elif words:
            yield words
            words = []
    if words:
        raise NotUnderstood


def _privilege(words: list[str], owner: str, grantor: str) -> Privilege:
    head, rest, role, gives, grantable = _split(words)
    kind = next((k for k in _KINDS if tuple(rest[: len(k)]) == k), None)
    if kind is None:
        raise NotUnderstood
    on = _object(rest[len(kind) :], with_arguments=kind[0] in ("FUNCTION", "PROCEDURE"))
    return Privilege(
        f"{head} ON {' '.join(kind)}", on, role, owner, gives, grantor, grantable=grantable
    )


def _default(words: list[str]) -> Privilege:
    start, scope = 6, ""
    if words[6:8] == ["IN", "SCHEMA"] and len(words) > 9:
        start, scope = 9, f" IN SCHEMA {quoted(_name(words[8]))}"
    head, rest, role, gives, grantable = _split(words[start:])
    if not rest or rest[0] not in _DEFAULTS or rest[1:] not in ([], ["OBJECTS"]):
        raise NotUnderstood
    creator = _name(words[5])
    head = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(creator)}{scope} {head} ON {' '.join(rest)}"
    return Privilege(head, "", role, creator, gives, grantable=grantable, is_default=True)


def _split(words: list[str]) -> tuple[str, list[str], str, bool, bool]:
    """`GRANT a, b`, what stands between ON and TO, who, whether it gives, and with the option."""
    gives = words[0] == "GRANT"
    grantable = gives and words[-3:] == ["WITH", "GRANT", "OPTION"]
    words = words[:-3] if grantable else words
    if words[0] not in ("GRANT", "REVOKE") or "ON" not in words or len(words) < 6:
        raise NotUnderstood
    if words[-2] != ("TO" if gives else "FROM"):
        raise NotUnderstood
    at = words.index("ON")
    role = "" if words[-1] == "PUBLIC" else _name(words[-1])
    return " ".join(words[:at]), words[at + 1 : -2], role, gives, grantable


def _object(words: list[str], *, with_arguments: bool) -> str:
    """One name, qualified or not, and the types in one pair of parentheses."""
    length = 3 if words[1:2] == ["."] else 1
    name, rest = words[:length], words[length:]
    if with_arguments != bool(rest) or not name:
        raise NotUnderstood
    inside = rest[1:-1]
    if rest and (rest[0] != "(" or rest[-1] != ")" or {"(", ")"} & set(inside)):
        raise NotUnderstood
    parts = [each if each.isdigit() else quoted(_name(each)) for each in name if each != "."]
    return ".".join(parts) + " ".join(rest)


def _name(word: str) -> str:
    if word.startswith('"'):
        return word[1:-1].replace('""', '"')
    if not _PLAIN.fullmatch(word):
        raise NotUnderstood
    return word
