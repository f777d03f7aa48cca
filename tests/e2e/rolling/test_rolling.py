"""From one release to the next and back under load: not one request fails.

One project for the tests that begin with something live, whatever the one before left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.e2e.rolling.conftest import Shop, make, take_away

_versions = count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make(tmp_path_factory.mktemp("rolling") / "project")
    made.deploy_settings(drain_timeout="20s")
    made.deployed(f"v{next(_versions)}")
    yield made
    take_away(made)


@pytest.fixture
def live(served: Shop) -> Iterator[Shop]:
    """Something serves, with the settings of the first deploy, before and after."""
    files = [served.root / "environments" / name for name in ("staging.toml", "compose.yaml")]
    texts = [file.read_text() for file in files]
    yield served
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)


def live_id(shop: Shop) -> str:
    found: str = shop.ok("deploy", "status", "staging", "--json").data["data"]["live"]["id"]
    return found


def test_releases_in_a_row_and_back_under_load(live: Shop) -> None:
    """With requests that last longer than a deploy, and a stream that is open for as long: they
    end by themselves, at the release where they began."""
    first = live.version()
    second, third = f"v{next(_versions)}", f"v{next(_versions)}"
    before = live_id(live)
    with live.load(slow_s=6.0) as load:
        stream = live.load_stream(seconds=6.0)
        live.deployed(second)
        previous = live_id(live)
        live.deployed(third)
        back = live.back()
        over = time.monotonic()
        assert back.code == 0, back.err
    assert load.failed == []
    assert set(load.versions) == {first, second, third}
    assert set(stream.result(timeout=30).split()) == {first}  # whole, though others serve since
    assert live.version() == second
    quick = [each for each in load.answers if each.kind != "slow" and each.version == third]
    assert not [each for each in quick if each.began > over + 2]
    replaced = back.data["data"]["replaced"]
    assert back.data["data"]["release"]["id"] == previous
    status = live.ok("deploy", "status", "staging", "--json").data["data"]
    assert status["traffic"] == {previous: 100}
    assert status["live"]["id"] == previous
    # the first was the way back once, and is stopped; the third is warm, in case it was a mistake
    containers = live.containers()
    assert containers["stockctl-proxy-1"] == "running"
    assert containers[f"{before}-shop-1"] == "exited"
    assert containers[f"{previous}-shop-1"] == "running"
    assert containers[f"{replaced}-shop-1"] == "running"


def test_old_releases_go_and_a_stopped_one_comes_back_with_its_configuration(live: Shop) -> None:
    live.deploy_settings(keep=2, soak="0s")
    number, last = next(_versions), next(_versions)
    before_id, now_id = (
        live.deployed(f"v{each}").data["data"]["release"]["id"] for each in (number, last)
    )
    states = live.containers()
    assert states.pop("stockctl-proxy-1") == "running"
    assert states == {f"{before_id}-shop-1": "exited", f"{now_id}-shop-1": "running"}
    kept = live.docker("image", "ls", "-q", f"stockctl-kept/{live.compose_project}")
    assert len(kept.split()) == 2
    (live.root / "environments" / "compose.yaml").unlink()
    env = live.env_file.read_text()
    live.env_file.unlink()
    with live.load() as load:
        back = live.back("--to", before_id)
    assert back.code == 0, back.err
    assert set(load.versions) == {f"v{number}", f"v{last}"}
    assert load.failed == []
    assert live.version() == f"v{number}"
    again = live.back("--to", before_id)
    assert again.code == 4
    assert "serves already" in live.error(again)
    live.env_file.touch(mode=0o600)
    live.env_file.write_text(env)


def test_replicas_and_canary_steps(live: Shop) -> None:
    live.deploy_settings(replicas=2, canary=[10, 50], canary_step="1s")
    with live.load() as load:
        release = live.deployed(f"v{next(_versions)}").data["data"]["release"]
    assert load.failed == []
    replicas = {f"{release['id']}-shop-1", f"{release['id']}-shop-2"}
    assert replicas <= set(live.containers())
    steps = [step["name"] for step in release["steps"]]
    assert [step for step in steps if step.startswith(("canary", "switch"))] == [
        "canary 10 %",
        "canary 50 %",
        "switch",
    ]


def test_a_running_stack_is_adopted_and_recreate_and_rolling_take_turns(shop: Shop) -> None:
    shop.set(VERSION="by-hand")
    folder = shop.root / "environments"
    argv = ("--project-name", shop.compose_project, "--file", str(folder / "compose.yaml"))
    image = ("image", "tag", "stockctl-testbed/shop:1", "stockctl-testbed/shop:latest")
    shop.docker(*image)
    shop.docker("compose", *argv, "--env-file", str(shop.env_file), "up", "--detach")
    with shop.load() as load:
        done = shop.deployed("v1")
    steps = {step["name"]: step for step in done.data["data"]["release"]["steps"]}
    assert {"handover", "switch"} <= set(steps)
    assert set(load.versions) == {"by-hand", "v1"}
    assert set(shop.containers()) == {"stockctl-proxy-1", "r0000-shop-1", "r0001-shop-1"}
    with shop.load() as load:
        assert shop.back().code == 0
    assert load.failed == []
    assert shop.version() == "by-hand"

    shop.deploy_settings(strategy='"recreate"')
    shop.deployed("v2")
    assert set(shop.containers()) == {"shop-1"}
    assert shop.back().code == 0
    assert shop.version() == "by-hand"
    shop.deploy_settings(strategy='"rolling"')
    shop.deployed("v3")
    assert set(shop.containers()) == {"stockctl-proxy-1", "r0000-shop-1", "r0003-shop-1"}
