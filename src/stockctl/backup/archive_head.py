"""The table of contents that pg_dump's custom format begins with.

The format: pg_backup_archiver.c (ReadHead, ReadToc).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stockctl.core.errors import BackupInvalid

# 1.14: PostgreSQL 12 to 15, 1.15: 16, 1.16: 17 and 18.
OLDEST, NEWEST = (1, 14), (1, 16)
HEAD_LIMIT = 1 << 30  # bytes; a length beyond is damage, not a name
_CUSTOM_FORMAT = 1
# Privileges, the numbers of the large objects that they are on, and what others than who restores
# may have to make.
_KEPT = {
    "ACL", "BLOB METADATA", "CAST", "DEFAULT ACL", "PUBLICATION", "PUBLICATION TABLES IN SCHEMA",
}  # fmt: skip
_LANGUAGE = re.compile(r"\n    LANGUAGE (\w+)")  # dumpFunc in pg_dump.c


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table of contents. `kind` is pg_dump's word: TABLE, TABLE DATA, EXTENSION.

    `sql` is what makes it, kept for what `_KEPT` names. `language` is a function's, `tablespace`
    empty for the database's own.
    """

    id: int
    kind: str
    schema: str
    name: str
    owner: str
    has_data: bool
    sql: str = ""
    tablespace: str = ""
    language: str = ""


class More(Exception):
    """The bytes so far are not all of it."""


@dataclass(frozen=True, slots=True)
class Head:
    """`size_bytes`: where the rows begin."""

    server_version: str
    tools_version: str
    entries: tuple[Entry, ...]
    size_bytes: int


def read_head(data: bytes) -> Head:
    """From an archive's first bytes. Raises More where they are too few, BackupInvalid."""
    cursor = _Cursor(data)
    server, tools, entries = _table_of_contents(cursor)
    return Head(server, tools, entries, cursor.position)


class _Cursor:
    """Numbers and texts as pg_dump writes them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise More
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        negative = self.byte()
        value = int.from_bytes(self.take(4), "little")
        return -value if negative else value

    def text(self) -> str | None:
        length = self.number()
        if length < 0:
            return None
        if length > HEAD_LIMIT:
            raise BackupInvalid("its table of contents is damaged")
        return self.take(length).decode(errors="surrogateescape")


def _table_of_contents(cursor: _Cursor) -> tuple[str, str, tuple[Entry, ...]]:
    if cursor.take(5) != b"PGDMP":
        raise BackupInvalid("what is in it is not a dump in PostgreSQL's custom format")
    version = (cursor.byte(), cursor.byte())
    cursor.byte()  # the revision
    sizes = (cursor.byte(), cursor.byte(), cursor.byte())
    if sizes != (4, 8, _CUSTOM_FORMAT) or not OLDEST <= version <= NEWEST:
        raise BackupInvalid(f"its archive is of a kind that is not known: {version}, {sizes}")
    if (cursor.byte() if version >= (1, 15) else cursor.number()) != 0:
        raise BackupInvalid("its archive is compressed inside, as no backup of ours is")
    for _ in range(7):  # when it was made
        cursor.number()
    cursor.text()  # the database's name
    server, tools = cursor.text() or "", cursor.text() or ""
    entries = tuple(_entry(cursor, version) for _ in range(cursor.number()))
    return server, tools, entries


def _entry(cursor: _Cursor, version: tuple[int, int]) -> Entry:
    number, _data_dumper = cursor.number(), cursor.number()
    cursor.text(), cursor.text()  # oids in the catalogue
    name, kind = cursor.text() or "", cursor.text() or ""
    cursor.number()  # section
    made_by = cursor.text() or ""
    cursor.text(), cursor.text()  # SQL to drop it, to fill it
    schema = cursor.text() or ""
    tablespace = cursor.text() or ""
    cursor.text()  # access method
    if version >= (1, 16):
        cursor.number()  # relkind
    owner = cursor.text() or ""
    cursor.text()  # with oids
    while cursor.text() is not None:  # what it depends on
        pass
    state = cursor.byte()
    cursor.take(8)
    found = _LANGUAGE.search(made_by) if kind in ("FUNCTION", "PROCEDURE") else None
    return Entry(
        number,
        kind,
        schema,
        name,
        owner,
        has_data=state != 3,
        sql=made_by if kind in _KEPT else "",
        tablespace=tablespace,
        language=found[1] if found else "",
    )
