"""Broken on purpose: whatever goes wrong, the release before serves, and nobody notices.

One project for the whole file: each test finds v1 live and must leave it so.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rolling.conftest import Shop, make, take_away


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make(tmp_path_factory.mktemp("failures") / "project")
    made.deployed("v1")
    yield made
    take_away(made)


@pytest.fixture
def live(first: Shop) -> Iterator[Shop]:
    """v1 serves, before and after; nothing else is left but what was there."""
    toml = first.root / "environments" / "staging.toml"
    text = toml.read_text()
    yield first
    toml.write_text(text)
    assert first.version() == "v1"
    assert first.containers() == {"stockctl-proxy-1": "running", "r0001-shop-1": "running"}
    assert '"r0001"' in (first.directory / "live.json").read_text()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"CRASH": "1"}, ("ended by itself", "CRASH is set", ", started ")),
        ({"UNHEALTHY": "1"}, ("is not healthy after 4.0s", "GET /health: 503", "v2 listens")),
    ],
)
def test_a_release_that_does_not_get_healthy(
    live: Shop, fault: dict[str, str], words: tuple[str, ...]
) -> None:
    live.deploy_settings(health_timeout="4s")
    with live.load() as load:
        done = live.to("v2", **fault)
    assert done.code == 9
    said = live.error(done)
    assert "was withdrawn, r0001 serves" in said
    assert all(word in said for word in words), said
    assert (load.failed, set(load.versions)) == ([], {"v1"})


def test_an_image_that_is_not_to_be_had(live: Shop) -> None:
    done = live.run("deploy", "staging", "--image", "127.0.0.1:9/none:1", "--json")
    assert done.code == 9
    assert "was withdrawn, r0001 serves" in live.error(done)


def test_a_smoke_check_of_the_candidate_fails_before_anybody_sees_it(live: Shop) -> None:
    live.toml('\n[[smoke]]\nname = "right version"\npath = "/"\ncontains = "v1"\n')
    with live.load() as load:
        done = live.to("v2")
    assert done.code == 9
    assert "candidate" in live.error(done)
    assert "right version" in live.error(done)
    assert (load.failed, set(load.versions)) == ([], {"v1"})


def test_a_configuration_that_haproxy_rejects(live: Shop) -> None:
    """The proxy's own HAProxy says no: here to a time that is too long for it."""
    before = (live.directory / "proxy" / "config" / "haproxy.cfg").read_bytes()
    live.deploy_settings(drain_timeout="9999d")
    with live.load() as load:
        done = live.to("v2")
    assert done.code == 9
    assert "HAProxy rejects the new configuration" in live.error(done)
    assert "timer overflow" in live.error(done)
    assert (live.directory / "proxy" / "config" / "haproxy.cfg").read_bytes() == before
    assert (load.failed, set(load.versions)) == ([], {"v1"})


def test_a_port_that_somebody_else_has(live: Shop) -> None:
    """The proxy is made anew for it and cannot start: it takes requests where it did before."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        live.set(PORT=str(taken.getsockname()[1]))
        done = live.to("v2")
    live.set(PORT=str(live.port))
    assert done.code == 9
    assert "address already in use" in live.error(done)
    assert "was withdrawn, r0001 serves" in live.error(done)
    assert not (live.directory / "proxy" / "compose.next.json").exists()


def test_a_folder_without_the_records_of_what_runs(live: Shop) -> None:
    """A disk that is not mounted: what serves is nobody's leftover."""
    away = live.directory.rename(live.directory.with_suffix(".away"))
    done = live.to("v2")
    shutil.rmtree(live.directory)
    away.rename(live.directory)
    assert done.code == 4
    assert "r0001 runs, and" in live.error(done)


def test_health_passes_and_then_it_answers_500(live: Shop) -> None:
    live.deploy_settings(canary=[20], canary_step="2s")
    with live.load() as load:
        done = live.to("v2", ERRORS="50")
        back = live.version()
    assert done.code == 9
    assert "is abandoned" in live.error(done)
    assert "answers failed" in live.error(done)
    assert back == "v1"
    # its own 500s are all that failed: nothing was lost in going there and back
    assert {each.split()[2] for each in load.failed} <= {"500"}, load.failed
    assert load.versions["v2"] + len(load.failed) < 0.5 * sum(load.versions.values())


def test_too_slow_is_abandoned_and_goes_though_it_ignores_sigterm(live: Shop) -> None:
    live.deploy_settings(watch="4s")
    live.toml('\n[deploy.abandon]\nresponse_time = "200ms"\nrequests = 5\n')
    with live.load() as load:
        done = live.to("v2", LATENCY_MS="400", IGNORE_SIGTERM="1")
    assert done.code == 9
    assert "it answers after" in live.error(done)
    assert load.failed == []


def test_a_rollback_that_fails_keeps_what_it_could_not_start(tmp_path: Path) -> None:
    """It served once: somebody may want to look at it, or to mend what keeps it from starting."""
    shop = make(tmp_path / "project")
    try:
        shop.deploy_settings(health_timeout="4s")
        shop.deployed("v1")
        shop.deployed("v2")
        project = shop.directory / "releases" / "r0001" / "project.json"
        sound = project.read_text()
        project.write_text(sound.replace('"UNHEALTHY": ""', '"UNHEALTHY": "1"'))
        shop.docker("rm", "-f", f"{shop.compose_project}-r0001-shop-1")
        with shop.load() as load:
            failed = shop.back()
        assert failed.code == 9
        assert "r0001 does not serve, r0002 does" in shop.error(failed)
        assert "GET /health: 503" in shop.error(failed)
        assert (load.failed, set(load.versions)) == ([], {"v2"})
        assert shop.containers()["r0001-shop-1"] == "exited"
        project.write_text(sound)
        shop.docker("rm", f"{shop.compose_project}-r0001-shop-1")
        assert shop.back().code == 0
        assert shop.version() == "v1"
    finally:
        take_away(shop)


def test_no_way_back_is_exit_11_with_what_to_type(tmp_path: Path) -> None:
    shop = make(tmp_path / "project")
    try:
        shop.deployed("v1")
        shop.deploy_settings(watch="4s")
        process = shop.start_to("v2", ERRORS="100")
        shop.until(process, "✓ switch")
        # what could be gone back to goes away, and cannot come up again
        shop.docker("rm", "-f", f"{shop.compose_project}-r0001-shop-1")
        project = shop.directory / "releases" / "r0001" / "project.json"
        project.write_text(project.read_text().replace("sha256:", "sha256:00"))
        with shop.load():
            _, err = process.communicate(timeout=60)
        assert process.returncode == 11, err
        assert "r0001 could not be brought back" in err
        assert "stockctl deploy rollback staging --to r0001" in err
        assert "docker compose -p" in err
        assert "% of the requests" in err
    finally:
        take_away(shop)


def test_a_proxy_that_cannot_be_had_is_told_before_anything_starts(shop: Shop) -> None:
    file = shop.root / "environments" / "staging.toml"
    nowhere = "127.0.0.1:1/haproxy:2.6"
    file.write_text(file.read_text().replace("stockctl-testbed/haproxy:2.6", nowhere))
    done = shop.to("v1")
    assert done.code == 6, done.err
    assert f"{nowhere} cannot be pulled" in done.data["error"]["message"]
    assert "✓ start" not in done.err
    assert shop.containers() == {}
