"""The Docker engine restarts in the middle of a deploy and of a rollback.

What served serves again without anybody's help, the command ends and says why, and the next ones
work. The sample here runs always; `make campaign` has every place and way.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.e2e.conftest import eventually
from tests.e2e.rolling.conftest import Shop, make, take_away
from tests.engines import SecondEngine
from tests.load import Load

ENDS_WITHIN_S = 60  # after the engine is back
_versions = count(1)

End = Callable[[SecondEngine], None]
DEPLOY, ROLLBACK = "deploy", "rollback"
LIVE = "--live-restore"


@pytest.fixture(scope="module")
def served(engine: SecondEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make(tmp_path_factory.mktemp("engine-shop") / "project")
    with engine.inside(), pytest.MonkeyPatch.context() as patched:
        patched.setenv("DOCKER_HOST", engine.host)
        made.deployed(f"v{next(_versions)}")
    yield made
    with engine.inside(), pytest.MonkeyPatch.context() as patched:
        patched.setenv("DOCKER_HOST", engine.host)
        take_away(made)


@pytest.fixture
def shop(engine: SecondEngine, served: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Something serves, whatever the test before left."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    with engine.inside():
        served.deploy_settings(watch="0s")
        yield served


def begun(shop: Shop, verb: str, at: str) -> subprocess.Popen[str]:
    """A command that has come as far as `at`, and a deploy goes on for a while."""
    if verb == ROLLBACK:
        shop.deployed(f"v{next(_versions)}")
        process = shop.start("deploy", "rollback", "staging", "--yes")
    else:
        shop.deploy_settings(watch="20s")
        process = shop.start_to(f"v{next(_versions)}", START_DELAY_S="2")
    shop.until(process, at)
    return process


def works_without_help(shop: Shop) -> None:
    """The next deploy and the way back, and nothing is left of the one that was disturbed."""
    shop.deploy_settings(watch="0s")
    before = shop.recorded()
    shop.deployed(f"v{next(_versions)}")
    back = shop.back()
    assert back.code == 0, back.err + back.out
    assert shop.version() == before
    here = {name[:5] for name in shop.containers() if name != "stockctl-proxy-1"}
    states = {each["id"]: each["state"] for each in shop.history()}
    assert {states[each] for each in here} == {"finished"}, shop.containers()


def disturbed(
    shop: Shop, engine: SecondEngine, verb: str, at: str, end: End, flags: tuple[str, ...]
) -> None:
    """One restart, and what must be true afterwards."""
    engine.run(*flags)
    process = begun(shop, verb, at)
    end(engine)
    engine.start(*flags)
    _, err = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode in (0, 6, 9), err
    if process.returncode:
        assert "the Docker engine does not answer" in err or "docker daemon running" in err, err
    # after a crash Docker starts nothing that has `unless-stopped`, and this one had not begun
    if not (end is SecondEngine.kill and process.returncode == 6):
        eventually(lambda: shop.version() == shop.recorded())
    works_without_help(shop)


@pytest.mark.parametrize(("verb", "at"), [(DEPLOY, "✓ switch"), (ROLLBACK, "→")])
def test_it_restarts(shop: Shop, engine: SecondEngine, verb: str, at: str) -> None:
    disturbed(shop, engine, verb, at, SecondEngine.stop, ())


@pytest.mark.campaign
@pytest.mark.parametrize("flags", [(), (LIVE,)])
@pytest.mark.parametrize("end", [SecondEngine.stop, SecondEngine.kill])
@pytest.mark.parametrize(
    ("verb", "at"),
    [
        (DEPLOY, "(1)"),
        (DEPLOY, "✓ start"),
        (DEPLOY, "✓ healthy"),
        (DEPLOY, "✓ switch"),
        (ROLLBACK, "→"),
        (ROLLBACK, "✓ switch"),
    ],
)
def test_it_restarts_anywhere(
    shop: Shop, engine: SecondEngine, verb: str, at: str, end: End, flags: tuple[str, ...]
) -> None:
    disturbed(shop, engine, verb, at, end, flags)


@pytest.mark.campaign
@pytest.mark.parametrize("again_at", ["✓ engine", "✓ start r"])
@pytest.mark.parametrize("end", [SecondEngine.stop, SecondEngine.kill])
def test_it_restarts_again_on_the_way_back(
    shop: Shop, engine: SecondEngine, end: End, again_at: str
) -> None:
    engine.run()
    before = shop.recorded()
    process = begun(shop, DEPLOY, "✓ switch")
    SecondEngine.kill(engine)
    engine.start()
    shop.until(process, again_at)
    end(engine)
    engine.start()
    _, err = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 9, err
    assert shop.version() == shop.recorded() == before
    works_without_help(shop)


def test_haproxy_is_just_starting_when_the_requests_go_back(
    shop: Shop, engine: SecondEngine
) -> None:
    """As after a crash of the engine: it has read who serves, asks for an address that nobody
    knows, in a network where nobody else answers either, and does not hear its signal."""
    engine.run()
    before = shop.recorded()
    shop.deployed(f"v{next(_versions)}")
    live = json.loads((shop.directory / "live.json").read_text())["release"]
    shop.docker("kill", f"{shop.compose_project}-{live}-shop-1")
    shop.docker("restart", "--time", "0", f"{shop.compose_project}-stockctl-proxy-1")
    back = shop.back()
    assert back.code == 0, back.err + back.out
    assert shop.version() == before
    assert back.data["data"]["switch_s"] < 15, "a name in vain took its time"
    works_without_help(shop)


def inside_address(shop: Shop) -> str:
    """Where the proxy is reached past the port on 127.0.0.1, which is a process of the engine."""
    name = f"{shop.compose_project}-stockctl-proxy-1"
    address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return f"http://{shop.docker('inspect', '-f', address, name)}:8080"


def away_for(shop: Shop, engine: SecondEngine, seconds: float) -> None:
    """With live-restore, under load, before a deploy."""
    engine.run(LIVE)
    version = f"v{next(_versions)}"
    shop.deployed(version)
    with Load(inside_address(shop), slow_s=0.5) as load:
        engine.stop()
        back = time.monotonic() + seconds
        eventually(lambda: time.monotonic() > back, within_s=seconds + 5)
        engine.start(LIVE)
    assert load.failed == []
    assert set(load.versions) == {version}
    works_without_help(shop)


def test_with_live_restore_nobody_notices(shop: Shop, engine: SecondEngine) -> None:
    away_for(shop, engine, 2)


@pytest.mark.campaign
def test_with_live_restore_nobody_notices_for_longer_than_names_are_held(
    shop: Shop, engine: SecondEngine
) -> None:
    """HAProxy forgets a server whose name nobody resolves after 30 s, unless it is told not to."""
    away_for(shop, engine, 40)


def test_the_machine_loses_its_power_after_the_switch(shop: Shop, engine: SecondEngine) -> None:
    """Engine, containers and command at once: the new release serves afterwards, and the next
    command goes back to the one that is recorded."""
    engine.run()
    before = shop.recorded()
    shop.deploy_settings(watch="20s")
    version = f"v{next(_versions)}"
    process = shop.start_to(version)
    shop.until(process, "✓ switch")
    process.kill()
    process.communicate()
    engine.power_off()
    engine.start()
    eventually(lambda: shop.version() == version)
    back = shop.back()
    assert back.code == 0, back.err + back.out
    assert shop.version() == before
    works_without_help(shop)
