"""From one release to the next and back under load: not one request fails."""

from __future__ import annotations

import time

from tests.e2e.rolling.conftest import Shop


def test_releases_in_a_row_and_back_under_load(shop: Shop) -> None:
    shop.deployed("v1")
    with shop.load() as load:
        for version in ("v2", "v3"):
            shop.deployed(version)
        back = shop.back()
        over = time.monotonic()
        assert back.code == 0, back.err
    assert load.failed == []
    assert set(load.versions) == {"v1", "v2", "v3"}
    assert shop.version() == "v2"
    quick = [each for each in load.answers if each.kind != "slow" and each.version == "v3"]
    assert not [each for each in quick if each.began > over + 2]
    assert back.data["data"]["release"]["id"] == "r0002"
    assert back.data["data"]["replaced"] == "r0003"
    status = shop.ok("deploy", "status", "staging", "--json").data["data"]
    assert status["traffic"] == {"r0002": 100}
    assert status["live"]["id"] == "r0002"
    assert {each["release"] for each in status["containers"]} == {None, "r0001", "r0002", "r0003"}
    # r0001 was the way back once, and is stopped; r0003 is warm, in case this was a mistake
    assert shop.containers() == {
        "stockctl-proxy-1": "running",
        "r0001-shop-1": "exited",
        "r0002-shop-1": "running",
        "r0003-shop-1": "running",
    }


def test_long_requests_and_an_open_stream_end_by_themselves(shop: Shop) -> None:
    shop.deployed("v1")
    with shop.load(slow_s=2.0) as load:
        stream = shop.load_stream(seconds=4.0)
        shop.deployed("v2", START_DELAY_S="2")
    assert load.failed == []
    assert set(stream.result(timeout=30).split()) == {"v1"}  # whole, though v2 serves since


def test_replicas_and_canary_steps(shop: Shop) -> None:
    shop.deploy_settings(replicas=2, canary=[10, 50], canary_step="1s")
    shop.deployed("v1")
    with shop.load() as load:
        done = shop.deployed("v2")
    assert load.failed == []
    steps = [step["name"] for step in done.data["data"]["release"]["steps"]]
    assert [step for step in steps if step.startswith(("canary", "switch"))] == [
        "canary 10 %",
        "canary 50 %",
        "switch",
    ]
    assert {"r0002-shop-1", "r0002-shop-2"} <= set(shop.containers())
    shop.docker("kill", f"{shop.compose_project}-r0002-shop-1")  # the other one goes on
    with shop.load() as load:
        time.sleep(1)
    assert load.failed == []


def test_old_releases_go_and_a_stopped_one_comes_back_with_its_configuration(shop: Shop) -> None:
    shop.deploy_settings(keep=2, soak="0s")
    for number in range(3):
        shop.deployed(f"v{number}")
    assert shop.containers() == {
        "stockctl-proxy-1": "running",
        "r0002-shop-1": "exited",
        "r0003-shop-1": "running",
    }
    kept = shop.docker("image", "ls", "-q", f"stockctl-kept/{shop.compose_project}")
    assert len(kept.split()) == 2
    (shop.root / "environments" / "compose.yaml").unlink()
    shop.env_file.unlink()
    with shop.load() as load:
        back = shop.back("--to", "r0002")
    assert back.code == 0, back.err
    assert load.failed == []
    assert shop.version() == "v1"
    again = shop.back("--to", "r0002")
    assert again.code == 4
    assert "serves already" in shop.error(again)


def test_a_running_compose_stack_is_adopted(shop: Shop) -> None:
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


def test_recreate_and_rolling_take_turns(shop: Shop) -> None:
    shop.deploy_settings(strategy='"recreate"')
    shop.deployed("v1")
    assert set(shop.containers()) == {"shop-1"}
    shop.deploy_settings(strategy='"rolling"')
    shop.deployed("v2")
    assert set(shop.containers()) == {"stockctl-proxy-1", "r0001-shop-1", "r0002-shop-1"}
    shop.deploy_settings(strategy='"recreate"')
    shop.deployed("v3")
    assert set(shop.containers()) == {"shop-1"}
    assert shop.back().code == 0
    assert shop.version() == "v2"
