"""Requests that last, and an open stream, while one release replaces another."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import eventually
from tests.e2e.rolling.conftest import Shop, make, take_away


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Shop]:
    """v1 serves; what it holds has longer than half a minute to end."""
    made = make(tmp_path / "project")
    made.deploy_settings(drain_timeout="40s", stop_timeout="40s", watch="0s")
    made.deployed("v1")
    yield made
    take_away(made)


def held(shop: Shop, pool: ThreadPoolExecutor, seconds: float) -> Future[str]:
    """A request that is answered after so long."""
    return pool.submit(shop.fetch, f"{shop.url}/slow?s={seconds}", seconds + 20)


def test_a_request_of_two_seconds_and_one_of_thirty(live: Shop) -> None:
    """Both are answered by the release where they began, though it is replaced and its soak is
    over: the deploy does not wait for them, and whoever stops that release does."""
    with ThreadPoolExecutor(2) as pool:
        long = held(live, pool, 30)
        short = held(live, pool, 2)
        stream = live.load_stream(seconds=30)
        began = time.monotonic()
        eventually(lambda: time.monotonic() > began + 0.5)  # they are with v1
        live.deployed("v2")
        assert not long.done()
        live.deploy_settings(soak="0s")
        live.ok("deploy", "tidy", "staging")
        assert short.result() == "v1\n"
        assert long.result() == "v1\n"
        assert set(stream.result().split()) == {"v1"}
    assert len(stream.result().split()) > 200
    assert live.version() == "v2"
    assert live.containers()["r0001-shop-1"] == "exited"


def test_a_stream_that_outlasts_the_drain_time_is_cut_then_and_nothing_else(live: Shop) -> None:
    live.deploy_settings(drain_timeout="3s")
    live.deployed("v2")  # so that the proxy has it from here on
    with ThreadPoolExecutor(1) as pool, live.load(slow_s=1.0) as load:
        stream = pool.submit(live.fetch, f"{live.url}/stream?s=60", 70)
        began = time.monotonic()
        eventually(lambda: time.monotonic() > began + 0.5)
        live.deployed("v3")
        with pytest.raises(http.client.IncompleteRead):
            stream.result()
    assert time.monotonic() < began + 40
    assert load.failed == []
