"""`deploy contract` waits for the soak: until then the release before is a way back in seconds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.conftest import FakeClock

from stockctl.core.errors import Refused
from stockctl.deploy.release import Standing
from stockctl.deploy.schema import _refuse_in_soak


def site(clock: FakeClock, standing: Standing | None, *, rolling: bool = True) -> Any:
    return SimpleNamespace(
        clock=clock,
        rolling=rolling,
        releases=SimpleNamespace(standing=lambda: standing),
        environment=SimpleNamespace(deploy=SimpleNamespace(soak=600.0)),
    )


LIVE: Any = SimpleNamespace(id="r0002")


def test_it_is_refused_until_the_soak_is_over(clock: FakeClock) -> None:
    standing = Standing("r0002", "r0001", clock.now())
    clock.sleep(60)
    with pytest.raises(Refused, match=r"r0001 still runs") as caught:
        _refuse_in_soak(site(clock, standing), LIVE)
    assert caught.value.retry_after_s == 540
    clock.sleep(540)
    _refuse_in_soak(site(clock, standing), LIVE)


def test_nothing_to_wait_for(clock: FakeClock) -> None:
    now = clock.now()
    _refuse_in_soak(site(clock, None), LIVE)
    _refuse_in_soak(site(clock, Standing("r0002", None, now)), LIVE)
    _refuse_in_soak(site(clock, Standing("r0002", "r0001", None)), LIVE)
    _refuse_in_soak(site(clock, Standing("r0002", "r0001", now), rolling=False), LIVE)
