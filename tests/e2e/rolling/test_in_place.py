"""Killed where a port changes hands: with the strategy `recreate`, and where the proxy takes over
from a container that was started without it.

Neither can answer all the time. What is asked for: something answers again without anybody's help,
soon, and the next deploy and rollback work. The sample here runs always; `make campaign` kills at
every tenth of a second.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
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
    recreate_back,
    works_without_help,
)

AWAY_S = 15.0  # at most, after a command was killed: a second to stop, and a container to start
STEP_S = {signal.SIGKILL: 0.1, signal.SIGTERM: 0.3, signal.SIGINT: 0.3}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make_in_place(tmp_path_factory.mktemp("in-place") / "project")
    yield made
    take_away(made)


def test_killed_while_the_old_container_stops(shared: Shop) -> None:
    """It comes to its end, and who comes at once waits: a container that is being stopped looks
    like one that serves, and the way back would be one too far."""
    process = recreate_back(shared)
    shared.until(process, "(1)")
    eventually(lambda: LocalHost().holder(shared.directory / LOCK))
    process.kill()
    process.communicate()
    before = shared.recorded()
    back = shared.back()
    assert back.code == 0, back.err + back.out
    assert "waiting for what another command has left" in back.err
    assert "nobody was served for " in back.err
    assert shared.version() == before == shared.recorded()
    assert set(shared.containers()) == {"shop-1"}


def killed_after(shop: Shop, start: Start, seconds: float, number: signal.Signals) -> bool:
    """Whether it was over before."""
    process = start(shop)
    shop.until(process, "(1)")  # its plan: from here on it does something
    due = time.monotonic() + seconds
    while time.monotonic() < due and process.poll() is None:
        time.sleep(0.01)
    over = process.poll() is not None
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    where = f"{start.__name__}, {number.name} after {seconds:.1f} s"
    if number is not signal.SIGKILL:
        assert process.returncode in (0, 128 + number), f"{where}: {err}"
        assert shop.version() == recorded(shop), where
    began = time.monotonic()
    while shop.version() is None:
        assert time.monotonic() < began + AWAY_S, f"{where}: nobody answers; {shop.containers()}"
        time.sleep(0.05)
    works_without_help(shop, next_version())
    return over


@pytest.mark.campaign
@pytest.mark.parametrize("number", STEP_S)
@pytest.mark.parametrize("start", STARTS)
def test_at_every_moment(shared: Shop, start: Start, number: signal.Signals) -> None:
    for step in count():
        if killed_after(shared, start, step * STEP_S[number], number):
            return
