"""How an upload of unknown length is cut into parts."""

from __future__ import annotations

import pytest

from stockctl.backup.stores.s3_upload import MOST_PARTS, PART_BYTES, part_after, part_size

GB = 10**9


@pytest.mark.parametrize("expected", [0, 1, GB, 50 * GB, 83 * GB, 900 * GB, 5_000 * GB])
def test_a_database_fits(expected: int) -> None:
    part = part_size(expected)
    assert part * MOST_PARTS >= expected / 3
    assert part >= PART_BYTES
    assert part % (1 << 20) == 0


@pytest.mark.parametrize("expected", [GB, 150 * GB, 900 * GB, 5_000 * GB])
def test_what_does_not_compress_fits_as_well(expected: int) -> None:
    part, room = part_size(expected), 0
    for number in range(1, MOST_PARTS + 1):
        room += part
        part = part_after(number, part)
    assert room >= expected * 1.2


def test_parts_are_small_for_as_long_as_they_can_be() -> None:
    assert part_size(150 * GB) == PART_BYTES
    assert part_size(500 * GB) < 4 * PART_BYTES
