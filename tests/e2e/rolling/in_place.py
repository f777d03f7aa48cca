"""Commands by which a port changes hands, begun from whatever was left before, and what must be
true after one that was disturbed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tests.e2e.conftest import eventually
from tests.e2e.rolling.conftest import Shop, make, take_away

BY_HAND = "by-hand"
_versions = count(1)

Start = Callable[[Shop], subprocess.Popen[str]]


def next_version() -> str:
    return f"v{next(_versions)}"


def make_in_place(folder: Path) -> Shop:
    """A second to stop, so that there is a moment to be killed in."""
    made = make(folder)
    made.deploy_settings(watch="0s", drain_timeout="1s", stop_timeout="1s", keep=3, soak="10m")
    return made


def stubborn(shop: Shop) -> None:
    """With `recreate`: two releases, of which the live one does not stop by itself."""
    shop.deploy_settings(strategy='"recreate"')
    shop.deployed(next_version())
    shop.deployed(next_version(), IGNORE_SIGTERM="1")


def recreate(shop: Shop) -> subprocess.Popen[str]:
    stubborn(shop)
    return shop.start_to(next_version())


def recreate_back(shop: Shop) -> subprocess.Popen[str]:
    stubborn(shop)
    return shop.start("deploy", "rollback", "staging", "--yes")


def adopt(shop: Shop) -> subprocess.Popen[str]:
    """As if nothing was ever deployed: one container, by Compose."""
    take_away(shop)
    shutil.rmtree(shop.directory, ignore_errors=True)
    shop.deploy_settings(strategy='"rolling"')
    shop.set(VERSION=BY_HAND, IGNORE_SIGTERM="1")
    shop.docker("image", "tag", "stockctl-testbed/shop:1", "stockctl-testbed/shop:latest")
    file = shop.root / "environments" / "compose.yaml"
    argv = ("--project-name", shop.compose_project, "--file", str(file))
    shop.docker("compose", *argv, "--env-file", str(shop.env_file), "up", "--detach")
    eventually(lambda: shop.version() == BY_HAND)
    return shop.start_to(next_version())


def take_over_back(shop: Shop) -> subprocess.Popen[str]:
    """The proxy comes with a rollback, after the strategy has changed."""
    stubborn(shop)
    shop.deploy_settings(strategy='"rolling"')
    return shop.start("deploy", "rollback", "staging", "--yes")


STARTS = [recreate, recreate_back, adopt, take_over_back]


def recorded(shop: Shop) -> str:
    """What should serve; before the first record that is what was there."""
    return shop.recorded() if (shop.directory / "live.json").exists() else BY_HAND


def works_without_help(shop: Shop, version: str) -> None:
    """The next deploy and the way back, and nothing is left of the one that was disturbed."""
    before = recorded(shop)
    shop.deployed(version)
    back = shop.back()
    assert back.code == 0, back.err + back.out
    assert shop.version() == before
    here = set(shop.containers())
    if '"recreate"' in (shop.root / "environments" / "staging.toml").read_text():
        assert here == {"shop-1"}
        return
    assert "stockctl-proxy-1" in here
    states = {each["id"]: each["state"] for each in shop.history()}
    assert {states.get(name[:5]) for name in here - {"stockctl-proxy-1"}} == {"finished"}, here
