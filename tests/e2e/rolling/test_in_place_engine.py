"""The Docker engine goes away where a port changes hands: `recreate`, the handover to the proxy.

The command ends and says why, what is live serves again, and the next ones work. The sample here
runs always; `make campaign` has every second and way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from stockctl.deploy.outlast import LOCK
from stockctl.system.local import LocalHost
from tests.e2e.conftest import eventually
from tests.e2e.rolling.conftest import Shop, take_away
from tests.e2e.rolling.in_place import (
    STARTS,
    Start,
    make_in_place,
    next_version,
    recorded,
    take_over_back,
    works_without_help,
)
from tests.engines import SecondEngine

ENDS_WITHIN_S = 90  # after the engine is back
STEP_S = 1.0

End = Callable[[SecondEngine], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_in_place(tmp_path_factory.mktemp("in-place-engine") / "project")


@pytest.fixture
def shop(engine: SecondEngine, made: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    with engine.inside():
        yield made
        take_away(made)


def disturbed(
    shop: Shop,
    engine: SecondEngine,
    start: Start,
    end: End,
    flags: tuple[str, ...] = (),
    after_s: float | None = None,
) -> bool:
    """Whether the command was over before the engine went: so long after its plan, or as soon as
    the port changes hands."""
    engine.run(*flags)
    process = start(shop)
    shop.until(process, "(1)")
    due = time.monotonic() + (after_s or 0)
    while process.poll() is None:
        at_work = LocalHost().holder(shop.directory / LOCK)
        if at_work if after_s is None else time.monotonic() >= due:
            break
        time.sleep(0.01)
    over = process.poll() is not None
    end(engine)
    engine.start(*flags)
    _, err = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode in (0, 6, 9), err
    # after a crash Docker starts nothing that has `unless-stopped`, and this one had not begun
    if not (end is SecondEngine.kill and process.returncode in (0, 6)):
        eventually(lambda: shop.version() == recorded(shop))
    works_without_help(shop, next_version())
    return over


def test_it_is_killed_while_the_proxy_takes_over(shop: Shop, engine: SecondEngine) -> None:
    assert not disturbed(shop, engine, take_over_back, SecondEngine.kill)


@pytest.mark.campaign
@pytest.mark.parametrize("end", [SecondEngine.stop, SecondEngine.kill])
@pytest.mark.parametrize("start", STARTS)
def test_it_goes_away_while_the_port_changes_hands(
    shop: Shop, engine: SecondEngine, start: Start, end: End
) -> None:
    assert not disturbed(shop, engine, start, end)


@pytest.mark.campaign
@pytest.mark.parametrize("flags", [(), ("--live-restore",)])
@pytest.mark.parametrize("end", [SecondEngine.stop, SecondEngine.kill])
@pytest.mark.parametrize("start", STARTS)
def test_it_goes_away_at_every_moment(
    shop: Shop, engine: SecondEngine, start: Start, end: End, flags: tuple[str, ...]
) -> None:
    for step in count():
        if disturbed(shop, engine, start, end, flags, step * STEP_S):
            return
