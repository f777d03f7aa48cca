"""The custom format is read whole or refused, however the bytes come in."""

from __future__ import annotations

import random
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.backup.archive import ArchiveReader, Contents
from stockctl.core.errors import BackupInvalid

ROWS = (b"1\ta\n", b"2\t" + b"b" * 3000 + b"\n", b"\n")
END = b"\\.\n\n\n"


def number(value: int) -> bytes:
    return pack("<Bi", int(value < 0), abs(value))


def text(value: str | None) -> bytes:
    return number(-1) if value is None else number(len(value)) + value.encode()


def entry(identity: int, kind: str, name: str, version: int, *, data: bool) -> bytes:
    before = number(identity) + number(int(data)) + text("0") + text("0") + text(name) + text(kind)
    sql = number(3) + text("CREATE") + text("DROP") + text("COPY")
    where = text("public") + text(None) + text("heap") + (number(114) if version >= 16 else b"")
    return (
        before + sql + where + text("anna") + text("false") + text("7") + text(None) + state(data)
    )


def state(data: bool) -> bytes:
    return bytes([1 if data else 3]) + bytes(8)


def dump(version: int = 16, *, rows: tuple[bytes, ...] = ROWS) -> bytes:
    """As pg_dump writes it: a table with its rows, one that is empty, two large objects."""
    head = b"PGDMP" + bytes([1, version, 0, 4, 8, 1])
    head += b"\0" if version >= 15 else number(0)
    head += b"".join(map(number, (1, 2, 3, 22, 10, 126, 0)))
    head += text("stock") + text("18.4") + text("18.4") + number(5)
    entries = [(1, "EXTENSION", "pg_trgm"), (2, "TABLE", "a"), (3, "TABLE DATA", "a")]
    entries += [(4, "TABLE DATA", "empty"), (5, "BLOBS", "16393")]
    toc = b"".join(entry(n, kind, name, version, data=n > 2) for n, kind, name in entries)
    data = b"\x01" + number(3) + b"".join(number(len(r)) + r for r in (*rows, END)) + number(0)
    data += b"\x01" + number(4) + number(len(END)) + END + number(0)
    blobs = b"".join(number(oid) + number(3) + b"abc" + number(0) for oid in (16393, 16394))
    return head + toc + data + b"\x03" + number(5) + blobs + number(0)


def read(data: bytes, size: int = 1 << 20) -> Contents:
    reader = ArchiveReader()
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    return reader.close()


@pytest.mark.parametrize("version", [14, 15, 16])
@pytest.mark.parametrize("size", [1, 3, 64, 1000, 1 << 20])
def test_rows_are_counted_in_blocks_of_any_size(version: int, size: int) -> None:
    contents = read(dump(version), size)
    assert contents.rows == {3: 3, 4: 0}
    assert [(e.kind, e.name, e.owner) for e in contents.of_kind("EXTENSION")] == [
        ("EXTENSION", "pg_trgm", "anna")
    ]
    assert (contents.server_version, contents.tools_version) == ("18.4", "18.4")


@given(st.lists(st.binary(max_size=40).map(lambda b: b + b"\n"), max_size=30), st.integers(1, 90))
def test_whatever_the_rows_hold(rows: list[bytes], size: int) -> None:
    assert read(dump(rows=tuple(rows)), size).rows[3] == len(rows)


def test_every_cut_is_found() -> None:
    whole = dump()
    for length in range(len(whole)):
        with pytest.raises(BackupInvalid):
            read(whole[:length], 512)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"PGDMP", b"PLAIN", "custom format"),
        (b"PGDMP\x01\x10", b"PGDMP\x01\x11", "not known"),
        (b"\x04\x08\x01\x00", b"\x04\x08\x01\x01", "compressed inside"),
        (b"\x01" + number(4) + number(5), b"\x01" + number(9) + number(5), "does not name"),
        (b"\x01" + number(4) + number(5), b"\x01" + number(3) + number(5), "does not name"),
        (number(4) + ROWS[0], number(-4) + ROWS[0], "negative"),
    ],
)
def test_what_is_not_a_dump_of_ours(old: bytes, new: bytes, why: str) -> None:
    assert dump().count(old) == 1
    with pytest.raises(BackupInvalid, match=why):
        read(dump().replace(old, new))


def test_something_after_the_end() -> None:
    for tail in (b"\0", b"\x01", b"\x01" + bytes(20)):
        with pytest.raises(BackupInvalid):
            read(dump() + tail)


def test_damage_never_hangs_and_never_crashes() -> None:
    """Found or not is for the sha256 to say; this must only end in an orderly way."""
    chance, whole = random.Random(5), dump()
    for _ in range(3000):
        broken = bytearray(whole)
        broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        try:
            read(bytes(broken), 256)
        except BackupInvalid:
            pass
