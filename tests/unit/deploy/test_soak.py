"""`deploy contract` waits for the soak: until then the release before is a way back in seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from stockctl.core.errors import Refused
from stockctl.deploy.release import Standing
from stockctl.deploy.schema import _refuse_in_soak


def site(served_s: float | None, standing: Standing | None, *, rolling: bool = True) -> Any:
    return SimpleNamespace(
        rolling=rolling,
        releases=SimpleNamespace(standing=lambda: standing, served_s=lambda _: served_s),
        environment=SimpleNamespace(deploy=SimpleNamespace(soak=600.0)),
    )


LIVE: Any = SimpleNamespace(id="r0002")
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def test_it_is_refused_until_the_soak_is_over() -> None:
    standing = Standing("r0002", "r0001", NOW)
    with pytest.raises(Refused, match=r"r0001 still runs") as caught:
        _refuse_in_soak(site(60.0, standing), LIVE)
    assert caught.value.retry_after_s == 540
    _refuse_in_soak(site(600.0, standing), LIVE)


def test_nothing_to_wait_for() -> None:
    _refuse_in_soak(site(None, None), LIVE)
    _refuse_in_soak(site(60.0, Standing("r0002", None, NOW)), LIVE)
    _refuse_in_soak(site(None, Standing("r0002", "r0001", None)), LIVE)
    _refuse_in_soak(site(60.0, Standing("r0002", "r0001", NOW), rolling=False), LIVE)
