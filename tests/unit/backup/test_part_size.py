"""How an upload of unknown length is cut into parts."""

from __future__ import annotations

import pytest

from stockctl.backup.stores.s3_upload import MOST_PARTS, PART_BYTES, part_size

GB = 10**9


@pytest.mark.parametrize("expected", [0, 1, GB, 50 * GB, 83 * GB, 900 * GB, 5_000 * GB])
def test_what_is_expected_fits(expected: int) -> None:
    part = part_size(expected)
    assert part * MOST_PARTS >= expected
    assert part >= PART_BYTES
    assert part % (1 << 20) == 0


def test_parts_are_small_for_as_long_as_they_can_be() -> None:
    assert part_size(50 * GB) == PART_BYTES
    assert part_size(150 * GB) < 4 * PART_BYTES
