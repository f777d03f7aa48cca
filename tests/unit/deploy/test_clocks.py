"""Who deploys and who asks may have clocks that differ by hours or years; nothing is lost by it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stockctl.deploy.preflight.gate import ahead, fresh
from stockctl.deploy.release import Releases
from stockctl.system.local import LocalHost

DAY_S = 86400.0


@pytest.mark.parametrize("ahead_s", [-730 * DAY_S, -3 * 3600, 0, 3 * 3600, 730 * DAY_S])
def test_the_soak_goes_by_the_clock_of_the_host(tmp_path: Path, ahead_s: float) -> None:
    releases = Releases(LocalHost(), tmp_path)
    assert releases.served_s(releases.standing()) is None
    releases.set_live("r0002", since=datetime.now(UTC) + timedelta(seconds=ahead_s))
    served_s = releases.served_s(releases.standing())
    assert served_s is not None
    assert 0 <= served_s < 60
    earlier = time.time() - 1000
    os.utime(tmp_path / "live.json", (earlier, earlier))
    served_s = releases.served_s(releases.standing())
    assert served_s is not None
    assert 999 <= served_s < 1060


def test_what_is_to_come_counts_for_nothing() -> None:
    assert fresh(0, 60)
    assert fresh(-10, 60)  # seconds apart, as two machines are
    assert not fresh(61, 60)
    assert not fresh(-DAY_S, 60)
    assert ahead(-DAY_S) == "24h 00m from now: a clock is wrong, here or where it was done"
