"""Many deploys in a row under light load: no request fails, and nothing piles up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.conftest import eventually
from tests.e2e.rolling.conftest import Shop, make, take_away
from tests.load import Load

KEEP = 3
MB = 1_000_000
_versions = count(1)


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Shop]:
    made = make(tmp_path / "project")
    made.deploy_settings(keep=KEEP, watch="0s", drain_timeout="3s")
    yield made
    take_away(made)


def proxy(shop: Shop) -> str:
    return f"{shop.compose_project}-stockctl-proxy-1"


def workers(shop: Shop) -> int:
    """HAProxy's processes: the master and its workers, also those that only finish."""
    return len(shop.docker("top", proxy(shop), "-o", "pid").splitlines()) - 1


def memory(shop: Shop) -> float:
    """What the proxy's processes hold, in bytes."""
    lines = shop.docker("top", proxy(shop), "-o", "pid,rss").splitlines()[1:]
    return sum(int(line.split()[1]) for line in lines) * 1024


def in_a_row(shop: Shop, number: int) -> None:
    """So many deploys under load; what there is afterwards is what there was after the third."""
    for _ in range(2):
        shop.deployed(f"v{next(_versions)}")
    eventually(lambda: workers(shop) == 2)
    before = memory(shop)
    with Load(shop.url, clients=1, slow_s=0.5) as load:
        for _ in range(number):
            shop.deployed(f"v{next(_versions)}")
    assert load.failed == []
    assert len(load.versions) == number + 1
    last = number + 2
    kept = [f"r{each:04d}" for each in range(last - KEEP + 1, last + 1)]
    folder = shop.directory / "releases"
    assert sorted(each.name for each in folder.iterdir()) == kept
    states = shop.containers()
    assert states.pop("stockctl-proxy-1") == "running"
    assert states == {
        f"{kept[0]}-shop-1": "exited",
        f"{kept[1]}-shop-1": "running",
        f"{kept[2]}-shop-1": "running",
    }
    tags = shop.docker(
        "image", "ls", "--format", "{{.Tag}}", f"stockctl-kept/{shop.compose_project}"
    )
    assert sorted(tags.split()) == kept
    name = f"name={shop.compose_project}"
    networks = shop.docker("network", "ls", "--filter", name, "--format", "{{.Name}}")
    assert networks.split() == [f"{shop.compose_project}_default"]
    files = {each.name for each in (shop.directory / "proxy" / "config").iterdir()}
    assert files == {"haproxy.cfg"}
    left = [each for each in shop.directory.rglob("*") if each.name.endswith(".tmp")]
    assert left == []
    eventually(lambda: workers(shop) == 2)
    assert memory(shop) < before + 20 * MB


def test_four_deploys_in_a_row(many: Shop) -> None:
    in_a_row(many, 4)


@pytest.mark.campaign
def test_twenty_deploys_in_a_row(many: Shop) -> None:
    in_a_row(many, 20)
