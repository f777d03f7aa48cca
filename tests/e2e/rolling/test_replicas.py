"""One replica of two is killed under load: the other one takes over, and nobody waits for it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import eventually
from tests.e2e.rolling.conftest import Shop
from tests.load import Load

LONGEST_S = 4.5  # a connection once had 5 s


def by_docker(shop: Shop, name: str) -> None:
    """Its address is nobody's afterwards, and it does not come back."""
    shop.docker("kill", name)


def by_the_kernel(shop: Shop, name: str) -> None:
    """As for its memory: Docker starts it again, and meanwhile connections are refused."""
    pid = int(shop.docker("inspect", "-f", "{{.State.Pid}}", name))
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists())  # its sockets close when it dies, not now


@pytest.mark.parametrize("kill", [by_docker, by_the_kernel])
def test_one_of_two_is_killed_under_load(shop: Shop, kill: Callable[[Shop, str], None]) -> None:
    shop.deploy_settings(replicas=2)
    shop.deployed("v1", START_DELAY_S="1")
    name = f"{shop.compose_project}-r0001-shop-1"
    with Load(shop.url, clients=3, slow_s=0.5, posting=3) as load:
        eventually(lambda: len(load.answers) > 200)
        kill(shop, name)
        over = time.monotonic()
        eventually(lambda: time.monotonic() > over + 4)
    failed = [each for each in load.answers if each.failure]
    # what may not be asked twice is lost with the replica that held it, and nothing else
    assert {each.kind for each in failed} <= {"post"}, load.failed
    assert not [each for each in failed if each.began > over], load.failed
    assert len(failed) <= 3
    quick = [each for each in load.answers if each.kind != "slow" and each.began < over + 2]
    assert max(each.ended - each.began for each in quick) < LONGEST_S


def test_one_that_was_killed_gets_requests_again_once_it_is_well(shop: Shop) -> None:
    shop.deploy_settings(replicas=2)
    shop.deployed("v1")
    first, second = (f"{shop.compose_project}-r0001-shop-{number}" for number in (1, 2))
    with shop.load() as load:
        shop.docker("kill", first)
        eventually(lambda: len(load.answers) > 100)
        shop.docker("start", first)
        eventually(lambda: "UP" in status(shop, "r0001-1"))
        shop.docker("kill", second)
        eventually(lambda: "DOWN" in status(shop, "r0001-2"))
        assert shop.version() == "v1"
    assert load.failed == []


def status(shop: Shop, server: str) -> str:
    """What HAProxy thinks of a server."""
    proxy = f"{shop.compose_project}-stockctl-proxy-1"
    port = shop.docker("port", proxy, "8404").rpartition(":")[2]
    rows = shop.fetch(f"http://127.0.0.1:{port}/;csv").splitlines()
    column = rows[0].removeprefix("# ").split(",").index("status")
    row = next(row for row in rows if row.startswith(f"release,{server},"))
    return row.split(",")[column]
