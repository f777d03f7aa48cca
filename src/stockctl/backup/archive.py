"""pg_dump's custom format, read as it passes: table of contents, data blocks, their rows.

`pg_restore --list` takes a dump that is cut at 40 %, and `-f /dev/null` one with flipped bytes
where nothing inside is compressed. Here every byte belongs to something, or the dump is refused.
The format: pg_backup_archiver.c (ReadHead, ReadToc) and pg_backup_custom.c (_readBlockHeader).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import Struct

from stockctl.core.errors import BackupInvalid

# 1.14: PostgreSQL 12 to 15, 1.15: 16, 1.16: 17 and 18.
OLDEST, NEWEST = (1, 14), (1, 16)
_CUSTOM_FORMAT = 1
_DATA, _LARGE_OBJECTS = 1, 3
_HEAD_LIMIT = 1 << 30  # bytes; a length beyond is damage, not a name
# What ends the rows of a table, in a chunk of its own (dumpTableData_copy in pg_dump.c).
_END_OF_ROWS = 1
# Privileges, the numbers of the large objects that they are on, and what others than who restores
# may have to make.
_KEPT = {
    "ACL", "BLOB METADATA", "CAST", "DEFAULT ACL", "PUBLICATION", "PUBLICATION TABLES IN SCHEMA",
}  # fmt: skip
_LANGUAGE = re.compile(r"\n    LANGUAGE (\w+)")  # dumpFunc in pg_dump.c
_number = Struct("<Bi").unpack_from  # 1 for a negative one, then four bytes


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


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive that was read to its end holds. `rows` counts by the id of a TABLE DATA."""

    server_version: str
    tools_version: str
    entries: tuple[Entry, ...]
    rows: dict[int, int]

    def of_kind(self, *kinds: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.kind in kinds)


class _More(Exception):
    """The bytes so far are not all of it."""


class ArchiveReader:
    """Fed with blocks of any size; `close` says what it was. Raises BackupInvalid.

    Without `count_rows` only the table of contents is read, where a sha256 vouches for the rest.
    """

    def __init__(self, *, count_rows: bool = True) -> None:
        self._count_rows = count_rows
        self._rest = b""
        self._head: tuple[str, str, tuple[Entry, ...]] | None = None
        self._due: set[int] = set()  # entries whose data has not been seen
        self._block: int | None = None  # the entry whose data this is
        self._large_object: bool | None = None  # in one, between two, or not among them
        self._chunks = 0
        self._beyond = 0  # bytes of the last chunk that are still to come
        self._rows: dict[int, int] = {}
        self.head_bytes = 0  # where the table of contents ends, once it is known

    def feed(self, block: bytes) -> None:
        """The next bytes."""
        if self._head is not None and not self._count_rows:
            return
        data = self._rest + block if self._rest else block
        position = min(self._beyond, len(data))
        self._beyond -= position
        if self._head is None:
            try:
                position = self._read_head(data)
            except _More:
                if len(data) > _HEAD_LIMIT:
                    raise BackupInvalid("its table of contents has no end") from None
                self._rest = data
                return
        self._rest = self._read_data(data, position) if self._count_rows else b""

    @property
    def knows_contents(self) -> bool:
        """Whether the table of contents, which comes first, was read."""
        return self._head is not None

    def close(self) -> Contents:
        """No more bytes come."""
        if self._head is None:
            raise BackupInvalid("its archive is cut in the table of contents")
        if not self._count_rows:
            return Contents(*self._head, {})
        if self._rest or self._beyond or self._block is not None or self._due:
            raise BackupInvalid("its archive is cut: data of its tables is missing")
        return Contents(*self._head, self._rows)

    def _read_head(self, data: bytes) -> int:
        cursor = _Cursor(data)
        server, tools, entries = _table_of_contents(cursor)
        self._head = (server, tools, entries)
        self._due = {entry.id for entry in entries if entry.has_data}
        self.head_bytes = cursor.position
        return cursor.position

    def _read_data(self, data: bytes, position: int) -> bytes:
        """Goes from chunk to chunk; what is left over waits for the next block."""
        while position < len(data):
            needed = 6 if self._block is None else 5
            if len(data) - position < needed:
                return data[position:]
            if self._block is None:
                position = self._open_block(data, position)
            elif self._large_object is False:
                position = self._next_large_object(data, position)
            else:
                position = self._chunks_from(data, position)
        return b""

    def _open_block(self, data: bytes, position: int) -> int:
        kind, (negative, number) = data[position], _number(data, position + 1)
        if kind not in (_DATA, _LARGE_OBJECTS) or negative or number not in self._due:
            raise BackupInvalid("its archive holds data that its table of contents does not name")
        self._due.discard(number)
        self._block, self._chunks = number, 0
        self._large_object = False if kind == _LARGE_OBJECTS else None
        return position + 6

    def _next_large_object(self, data: bytes, position: int) -> int:
        if any(_number(data, position)):
            self._large_object = True
        else:
            self._block = self._large_object = None
        return position + 5

    def _chunks_from(self, data: bytes, position: int) -> int:
        """Over the chunks, each a row. This loop is what `verify` spends its time in."""
        last, chunks, length = len(data) - 5, 0, 1
        while position <= last:
            negative, length = _number(data, position)
            if length <= 0 or negative:
                length = -1 if negative else length
                break
            position += 5 + length
            chunks += 1
        self._chunks += chunks
        if length < 0:
            raise BackupInvalid("its archive holds a chunk of a negative length")
        if length == 0:
            return self._close_block(position)
        self._beyond = max(position - len(data), 0)
        return position

    def _close_block(self, position: int) -> int:
        if self._large_object:
            self._large_object = False
        else:
            assert self._block is not None
            self._rows[self._block] = max(self._chunks - _END_OF_ROWS, 0)
            self._block = None
        return position + 5


class _Cursor:
    """Numbers and texts as pg_dump writes them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise _More
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
        if length > _HEAD_LIMIT:
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
