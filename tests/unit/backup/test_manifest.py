"""A manifest is read back exactly, or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.backup.manifest import Backup, new_id, parse_name
from stockctl.core.errors import BackupInvalid

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def backup(**changes: object) -> Backup:
    fields: dict[str, object] = {
        "id": "20261122T030000Z-1f2e",
        "environment": "prod",
        "created_at": AT,
        "size_bytes": 10,
        "database_bytes": 100,
        "duration_s": 4.1,
        "sha256": "0" * 64,
        "recipients": (),
        "compression": 3,
        "database": "stock",
        "server_version": "18.0",
        "schema_head": "0002_more",
        "fingerprint": (("public.a", 2), ('public."B"', 3)),
        "label": None,
        "pinned": False,
        "stockctl": "0.1.0",
    }
    return Backup(**(fields | changes))  # type: ignore[arg-type]


@given(
    database=TEXT,
    label=st.none() | TEXT,
    fingerprint=st.dictionaries(TEXT, st.integers(0, 2**62)),
    duration=st.floats(0, 1e9),
    pinned=st.booleans(),
)
def test_round_trip(
    database: str, label: str | None, fingerprint: dict[str, int], duration: float, pinned: bool
) -> None:
    one = backup(
        database=database,
        label=label,
        fingerprint=tuple(fingerprint.items()),
        duration_s=duration,
        pinned=pinned,
    )
    assert Backup.from_json(one.to_json()) == one


def test_the_contract_keys() -> None:
    fields = json.loads(backup(recipients=("age1x",)).to_json())
    assert fields["id"] == "20261122T030000Z-1f2e"
    assert fields["created_at"] == "2026-11-22T03:00:00Z"
    assert (fields["tables"], fields["rows"], fields["encrypted"]) == (2, 5, True)
    assert fields["object"] == "prod.20261122T030000Z-1f2e.dump.zst.age"


@given(st.data())
def test_every_cut_is_found(data: st.DataObject) -> None:
    whole = backup().to_json()
    with pytest.raises(BackupInvalid):
        Backup.from_json(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.data())
def test_every_flipped_bit_is_found(data: st.DataObject) -> None:
    whole = bytearray(backup().to_json())
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read = Backup.from_json(bytes(whole))
    except BackupInvalid:
        return
    assert read == backup()  # white space became other white space


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is cut or is not JSON"),
        (b"\xff\xfe", "is cut or is not JSON"),
        (b"[]", "was not made by stockctl"),
        (b'{"id": "x"}', "was not made by stockctl"),
        (b'{"stockctl_backup": 3}', "has format 3"),
        (b'{"stockctl_backup": 1}', "was changed"),
    ],
)
def test_it_says_what_is_wrong(data: bytes, reason: str) -> None:
    with pytest.raises(BackupInvalid, match=reason):
        Backup.from_json(data, "prod.x.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": "../prod"},
        {"environment": "prod.other"},
        {"id": "20261122T030000Z-XYZ1"},
        {"id": "20250101T000000Z-1f2e"},
        {"sha256": "abc"},
        {"size_bytes": "10"},
        {"pinned": 1},
        {"label": 3},
    ],
)
def test_well_sealed_nonsense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BackupInvalid):
        Backup.from_json(backup(**changes).to_json())


def test_ids_sort_by_time() -> None:
    assert new_id(AT, "ffff") < new_id(AT.replace(second=1), "0000")


def test_one_environment_is_not_another() -> None:
    name = backup(environment="app_test").manifest
    assert parse_name(name, "app") is None
    assert parse_name(name, "app_test") == ("20261122T030000Z-1f2e", "json")
    assert parse_name(name + "\n", "app_test") is None
