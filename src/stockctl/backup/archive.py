"""pg_dump's custom format, read as it passes: table of contents, data blocks, their rows.

`pg_restore --list` takes a dump that is cut at 40 %, and `-f /dev/null` one with flipped bytes
where nothing inside is compressed. Here every byte belongs to something, or the dump is refused.
The format of what follows the table of contents: pg_backup_custom.c (_readBlockHeader).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from stockctl.backup.archive_head import HEAD_LIMIT, Entry, Head, More, read_head
from stockctl.core.errors import BackupInvalid

_DATA, _LARGE_OBJECTS = 1, 3
# What ends the rows of a table, in a chunk of its own (dumpTableData_copy in pg_dump.c).
_END_OF_ROWS = 1
_number = Struct("<Bi").unpack_from  # 1 for a negative one, then four bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive that was read to its end holds. `rows` counts by the id of a TABLE DATA."""

    server_version: str
    tools_version: str
    entries: tuple[Entry, ...]
    rows: dict[int, int]

    def of_kind(self, *kinds: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.kind in kinds)


class ArchiveReader:
    """Fed with blocks of any size; `close` says what it was. Raises BackupInvalid.

    Without `count_rows` only the table of contents is read, where a sha256 vouches for the rest.
    """

    def __init__(self, *, count_rows: bool = True) -> None:
        self._count_rows = count_rows
        self._rest = b""
        self._head: Head | None = None
        self._due: set[int] = set()  # entries whose data has not been seen
        self._block: int | None = None  # the entry whose data this is
        self._large_object: bool | None = None  # in one, between two, or not among them
        self._chunks = 0
        self._beyond = 0  # bytes of the last chunk that are still to come
        self._rows: dict[int, int] = {}

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
            except More:
                if len(data) > HEAD_LIMIT:
                    raise BackupInvalid("its table of contents has no end") from None
                self._rest = data
                return
        self._rest = self._read_data(data, position) if self._count_rows else b""

    @property
    def knows_contents(self) -> bool:
        """Whether the table of contents, which comes first, was read."""
        return self._head is not None

    @property
    def head_bytes(self) -> int:
        """Where the table of contents ends; 0 until that is known."""
        return self._head.size_bytes if self._head else 0

    def close(self) -> Contents:
        """No more bytes come."""
        if self._head is None:
            raise BackupInvalid("its archive is cut in the table of contents")
        if not self._count_rows:
            return _contents(self._head, {})
        if self._rest or self._beyond or self._block is not None or self._due:
            raise BackupInvalid("its archive is cut: data of its tables is missing")
        return _contents(self._head, self._rows)

    def _read_head(self, data: bytes) -> int:
        self._head = read_head(data)
        self._due = {entry.id for entry in self._head.entries if entry.has_data}
        return self._head.size_bytes

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


def _contents(head: Head, rows: dict[int, int]) -> Contents:
    return Contents(head.server_version, head.tools_version, head.entries, rows)
