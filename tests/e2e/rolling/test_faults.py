"""What breaks around a release: its database, its memory, the host's disk, the first deploy."""

from __future__ import annotations

import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rolling.conftest import Shop, make, take_away

# Healthy for Docker as long as its database takes connections, as many services have it.
WITH_DATABASE = """\
    healthcheck:
      test: [CMD, python3, -c, "import socket; socket.create_connection(('db', 5432), 1)"]
      interval: 1s
      timeout: 2s
      retries: 1
  db:
    image: stockctl-testbed/postgres:15
    environment: {POSTGRES_PASSWORD: "${DB_PASSWORD}"}
"""


def compose(shop: Shop, more: str) -> None:
    """Adds to the end of its compose file."""
    file = shop.root / "environments" / "compose.yaml"
    file.write_text(file.read_text() + more)


def test_rollback_while_the_database_is_down(shop: Shop) -> None:
    """Neither release is healthy then; what serves is none the better, so that the way is open."""
    compose(shop, WITH_DATABASE)
    shop.set(DB_PASSWORD=secrets.token_hex(32))
    shop.deployed("v1")
    shop.deployed("v2")
    shop.docker("kill", f"{shop.compose_project}-db-1")
    name = f"{shop.compose_project}-r0002-shop-1"
    state = ("inspect", "-f", "{{.State.Health.Status}}", name)
    due = time.monotonic() + 60
    while shop.docker(*state).strip() != "unhealthy" and time.monotonic() < due:
        time.sleep(0.1)
    with shop.load() as load:
        back = shop.back()
    assert back.code == 0, back.err + back.out
    assert "r0001 serves and is not healthy" in back.err
    assert load.failed == []
    assert shop.version() == "v1"


def test_a_release_that_is_killed_for_its_memory_during_the_soak(shop: Shop) -> None:
    """It goes live, leaks, is killed by the kernel and started again, and again: `status` shows
    it, and the release before is warm and one command away."""
    compose(shop, "    mem_limit: 96m\n    memswap_limit: 96m\n")
    shop.deployed("v1")
    shop.deploy_settings(watch="0s")
    shop.deployed("v2", LEAK_MB="8")
    name = f"{shop.compose_project}-r0002-shop-1"
    restarts = ("inspect", "-f", "{{.RestartCount}}", name)
    with shop.load():
        due = time.monotonic() + 60
        while shop.docker(*restarts).strip() == "0" and time.monotonic() < due:
            time.sleep(0.1)
        status = shop.run("status", "staging")
        back = shop.back()
    assert "restart" in status.out, status.out
    assert "deploy logs staging" in status.out
    assert back.code == 0, back.err + back.out
    assert shop.version() == "v1"
    assert shop.containers()["r0001-shop-1"] == "running"


@pytest.mark.campaign
def test_a_release_that_takes_fifty_seconds_to_start(shop: Shop) -> None:
    """It is waited for as long as `health_timeout` allows, and the one before serves meanwhile."""
    shop.deploy_settings(health_timeout="90s")
    shop.deployed("v1")
    with shop.load() as load:
        shop.deployed("v2", START_DELAY_S="50")
        shop.deploy_settings(health_timeout="20s")
        late = shop.to("v3", START_DELAY_S="50")
    assert late.code == 9
    assert "is not healthy after 20" in shop.error(late)
    assert load.failed == []
    assert shop.version() == "v2"


def test_the_first_deploy_is_killed_after_its_switch(shop: Shop) -> None:
    """There is no record of anything that serves, and the proxy sends requests to it."""
    shop.deploy_settings(watch="5s")
    process = shop.start_to("v1")
    shop.until(process, "✓ switch")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert shop.back().code == 4  # there was nothing before
    shop.deploy_settings(watch="500ms")
    shop.deployed("v2")
    assert set(shop.containers()) == {"stockctl-proxy-1", "r0002-shop-1"}
    assert shop.recorded() == "v2"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Where the environment's records lie: a file system of 512 kB."""
    folder = tmp_path / "project" / ".stockctl" / "staging"
    folder.mkdir(parents=True, mode=0o700)
    options = "size=512k,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_on_the_host(small_disk: Path, tmp_path: Path) -> None:
    shop = make(tmp_path / "project")
    try:
        shop.deployed("v1")
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        with shop.load() as load:
            done = shop.to("v2")
        said = shop.error(done)
        assert (done.code, "No space left" in said) == (6, True), said
        assert (load.failed, set(load.versions)) == ([], {"v1"})
        assert set(shop.containers()) == {"stockctl-proxy-1", "r0001-shop-1"}
        filler.unlink()
        shop.deployed("v3")
        assert shop.back().code == 0
        assert shop.version() == "v1"
    finally:
        take_away(shop)
