"""A deploy or a backup that is interrupted, at each step: what served before serves afterwards."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import StagingProject, eventually, still_serves
from tests.e2e.shared import Shared


@pytest.fixture
def goes_on(shared: Shared) -> Iterator[StagingProject]:
    """Something serves; each test leaves the next release serving."""
    with shared.lent() as project:
        yield project


def test_two_deploys_at_once(deployed: StagingProject) -> None:
    deployed.set(FAULT_START_DELAY_S="15")
    first = deployed.start("deploy", "staging", "--tag", "v2")
    deployed.until(first, "✓ replace")
    second = deployed.deploy("v3")
    assert second.code == 5
    assert "deploy r0002 (v2)" in second.err  # who holds it, doing what
    _, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    still_serves(deployed, "v2")


@pytest.mark.parametrize("phase", ["image", "services", "verify", "backup", "replace", "healthy"])
def test_ctrl_c_in_each_phase(goes_on: StagingProject, phase: str) -> None:
    before = str(goes_on.version())
    if phase == "replace":
        goes_on.set(FAULT_START_DELAY_S="5")
    done = goes_on.interrupt_at(f"✓ {phase}", "deploy", "staging", "--tag", f"c-{phase}")
    assert done.code == 130, done.err
    still_serves(goes_on, before)
    goes_on.set(FAULT_START_DELAY_S="")
    assert goes_on.deploy(f"after-c-{phase}").code == 0
    still_serves(goes_on, f"after-c-{phase}")


@pytest.mark.parametrize("phase", ["services", "backup", "replace"])
def test_a_killed_deploy_leaves_a_way_back_and_a_way_forward(
    goes_on: StagingProject, phase: str
) -> None:
    before, release = str(goes_on.version()), goes_on.live()
    goes_on.set(FAULT_START_DELAY_S="5" if phase == "replace" else "")
    argv = ("deploy", "staging", "--tag", f"k-{phase}")
    goes_on.interrupt_at(f"✓ {phase}", *argv, number=signal.SIGKILL)
    goes_on.set(FAULT_START_DELAY_S="")
    assert goes_on.live() == release
    if phase == "replace":
        status = goes_on.ok("deploy", "status", "staging")
        assert "a deploy was interrupted" in status.out
        back = goes_on.run("deploy", "rollback", "staging", "--yes")
        assert back.code == 0, back.err
    still_serves(goes_on, before)
    (killed,) = re.findall(
        rf"^r.*k-{phase} .*", goes_on.ok("deploy", "history", "staging").out, re.M
    )
    assert "interrupted" in killed
    assert goes_on.deploy(f"after-k-{phase}").code == 0
    still_serves(goes_on, f"after-k-{phase}")


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.campaign)]
)
def test_a_signal_while_the_old_container_stops(deployed: StagingProject, number: int) -> None:
    """The engine goes on stopping it: what is put back must not be that container."""
    compose = deployed.root / "environments" / "compose.staging.yaml"
    slow = ["sh", "-c", "trap '' TERM; python3 -m stockmind & wait; wait"]
    compose.write_text(compose.read_text() + f"    command: {json.dumps(slow)}\n")
    deployed.toml('stop_timeout = "6s"\n')
    assert deployed.deploy("v2").code == 0
    process = deployed.start("deploy", "staging", "--tag", "v3")
    deployed.until(process, "✓ migrate")
    container = f"{deployed.compose_project}-app-1"
    stopping = time.monotonic() + 1.5  # well into `replace`, which lasts the six seconds
    eventually(lambda: time.monotonic() > stopping)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == 128 + number
    passed = time.monotonic() + 8
    eventually(lambda: time.monotonic() > passed)
    assert deployed.docker("inspect", "-f", "{{.State.Running}}", container) == "true"
    still_serves(deployed, "v2")


def test_sigterm_ends_in_an_orderly_way(deployed: StagingProject) -> None:
    deployed.set(FAULT_START_DELAY_S="5")
    argv = ("deploy", "staging", "--tag", "v2")
    done = deployed.interrupt_at("✓ replace", *argv, number=signal.SIGTERM)
    assert done.code == 143
    still_serves(deployed)


def test_a_killed_backup_ends_its_pg_dump_inside_the_container(deployed: StagingProject) -> None:
    container = f"{deployed.compose_project}-postgres-1"
    # pg_dump locks the parent of partitions, whose rows nobody counts before
    deployed.psql("CREATE TABLE parted (id int) PARTITION BY RANGE (id)")
    lock = "LOCK TABLE ONLY parted IN ACCESS EXCLUSIVE MODE"
    blocker = f"BEGIN; {lock}; SELECT pg_sleep(170); COMMIT;"
    deployed.docker("exec", "-d", container, "psql", "-U", "stockmind", "stockmind", "-c", blocker)
    locked = "SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
    eventually(lambda: deployed.psql(locked) == "t")
    process = deployed.start("backup", "create", "staging")

    def dumps() -> bool:
        return "pg_dump" in deployed.docker("top", container)

    eventually(dumps)
    process.kill()
    process.communicate()
    eventually(lambda: not dumps())
    assert deployed.ok("backup", "list", "staging", "--json").data["data"]["invalid"] == []
