"""When a release is abandoned."""

from __future__ import annotations

import pytest

from stockctl.deploy.canary import verdict
from stockctl.env.deploy_settings import Abandon
from stockctl.system.haproxy_counters import Counters

LIMITS = Abandon(error_rate=5, response_time="2s", requests=20)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Counters(0, 0, 0.0), ""),
        (Counters(19, 19, 9000.0), ""),
        (Counters(100, 5, 2000.0), ""),
        (Counters(100, 6, 0.0), "6 of 100 answers failed (6.0 %), at most 5 % may"),
        (Counters(20, 0, 2001.0), "it answers after 2.0s, at most 2.0s is allowed"),
    ],
)
def test_thresholds(seen: Counters, words: str) -> None:
    assert verdict(LIMITS, seen) == words
