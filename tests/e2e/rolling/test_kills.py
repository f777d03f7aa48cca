"""Ended in the middle, under load: requests go on being answered, the next command needs no help.

The sample here runs always; `make campaign` kills at every tenth of a second of a deploy and of a
rollback, with every signal.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.e2e.rolling.conftest import Shop, make, take_away

_versions = count(2)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make(tmp_path_factory.mktemp("kills") / "project")
    made.deploy_settings(watch="0s", drain_timeout="3s", keep=3)
    made.deployed("v1")
    yield made
    take_away(made)


def works_without_help(shop: Shop) -> None:
    """The next deploy and rollback, and what is left afterwards."""
    before = shop.recorded()  # after a kill another one may be served
    shop.deployed(f"v{next(_versions)}")
    back = shop.back()
    assert back.code == 0, back.err + back.out
    assert shop.version() == before
    releases = {name[:5] for name in shop.containers() if name != "stockctl-proxy-1"}
    assert len(releases) <= 4, shop.containers()
    states = [r["state"] for r in shop.history() if r["id"] in releases]
    assert set(states) == {"finished"}, "an orphan of a killed deploy is left"
    networks = shop.docker("network", "ls", "--filter", f"name={shop.name}", "--format", "{{.ID}}")
    assert len(networks.split()) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_deploy_is_ended_after_its_switch(shared: Shop, number: signal.Signals) -> None:
    before = shared.version()
    shared.deploy_settings(watch="10s")  # so that it goes on for long enough to be ended
    with shared.load() as load:
        process = shared.start_to(f"v{next(_versions)}")
        shared.until(process, "✓ switch")
        process.send_signal(number)
        process.communicate(timeout=60)
        shared.deploy_settings(watch="0s")
        if number != signal.SIGKILL:
            assert process.returncode == 128 + number
            assert shared.version() == before
        works_without_help(shared)
    assert load.failed == []


def test_haproxy_is_killed_and_comes_back(shared: Shop) -> None:
    proxy = f"{shared.compose_project}-stockctl-proxy-1"
    before = shared.version()
    shared.docker("kill", proxy)
    assert shared.version() is None
    shared.deployed(f"v{next(_versions)}")
    shared.docker("kill", proxy)
    assert shared.back().code == 0
    assert shared.version() == before


def test_two_operators_at_once(shared: Shop) -> None:
    with shared.load() as load:
        first = shared.start_to(f"v{next(_versions)}", START_DELAY_S="10")
        shared.until(first, "✓ start")
        second = shared.to(f"v{next(_versions)}")
        _, err = first.communicate(timeout=60)
        assert second.code == 5
        assert first.returncode == 0, err
    assert load.failed == []


@pytest.mark.campaign
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_at_every_tenth_of_a_second(shared: Shop, verb: str, number: signal.Signals) -> None:
    for tenths in count():
        with shared.load() as load:
            if verb == "deploy":
                process = shared.start_to(f"v{next(_versions)}")
            else:
                shared.deployed(f"v{next(_versions)}")  # so that there is a way back
                process = shared.start("deploy", "rollback", "staging", "--yes")
            shared.until(process, "(1)")  # its plan: from here on it does something
            due = time.monotonic() + tenths / 10
            while time.monotonic() < due and process.poll() is None:
                time.sleep(0.01)
            over = process.poll() is not None
            process.send_signal(number)
            process.communicate(timeout=60)
            works_without_help(shared)
        assert load.failed == [], f"{verb}, {number.name} after {tenths / 10} s"
        if over:
            return
