"""`--wait`: a plan that somebody overtook is made again, for as long as there is time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.conftest import FakeClock

from stockctl.cli.patience import patiently
from stockctl.cli.session import Result
from stockctl.core.errors import PlanOutdated
from stockctl.core.progress import Progress
from stockctl.system.local import LocalHost


@pytest.fixture
def site(clock: FakeClock, progress: Progress, tmp_path: Path) -> Any:
    lock = tmp_path / "lock"
    return SimpleNamespace(host=LocalHost(), lock_file=lock, clock=clock, progress=progress)


def test_an_overtaken_plan_is_made_again(site: Any) -> None:
    left: list[float] = []

    def attempt(left_s: float) -> Result:
        left.append(left_s)
        site.clock.sleep(4)
        if len(left) < 3:
            raise PlanOutdated("another deploy came first")
        return Result({"attempts": len(left)})

    assert patiently(site, "10s", attempt).data == {"attempts": 3}
    assert left == [10, 6, 2]


@pytest.mark.parametrize("wait", [None, "3s"])
def test_without_time_left_it_is_an_error(site: Any, wait: str | None) -> None:
    def attempt(_left_s: float) -> Result:
        site.clock.sleep(4)
        raise PlanOutdated("another deploy came first")

    with pytest.raises(PlanOutdated):
        patiently(site, wait, attempt)
