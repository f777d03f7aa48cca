"""Broken on purpose: whatever goes wrong, what served before serves afterwards."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import StagingProject, eventually


@pytest.fixture
def live(project: StagingProject) -> StagingProject:
    """v1 serves."""
    project.toml('\n[deploy]\nhealth_timeout = "40s"\n')
    done = project.deploy("v1")
    assert done.code == 0, done.err
    return project


def still_serves(project: StagingProject, version: str = "v1") -> None:
    assert project.version() == version
    assert project.ok("deploy", "status", "staging", "--json").data["data"]["locked_by"] is None


def test_a_release_that_never_gets_healthy_is_withdrawn(live: StagingProject) -> None:
    live.set(FAULT_UNHEALTHY="1")
    file = live.root / "environments" / "staging.toml"
    file.write_text(file.read_text().replace('"40s"', '"4s"'))
    done = live.deploy("v2")
    assert done.code == 9
    assert "r0002 was withdrawn, r0001 serves again" in done.err
    assert "its last lines" in done.err
    assert "503" in done.err  # the last health answer
    still_serves(live)
    history = live.ok("deploy", "history", "staging", "--json").data["data"]["releases"]
    assert [release["state"] for release in history] == ["failed", "finished"]


def test_a_release_that_crashes_is_withdrawn_at_once(live: StagingProject) -> None:
    live.set(FAULT_CRASH="1")
    done = live.deploy("v2")
    assert done.code == 9
    assert "FAULT_CRASH" in done.err  # the container's own words
    still_serves(live)


def test_what_docker_finds_unhealthy_is_withdrawn(live: StagingProject) -> None:
    compose = live.root / "environments" / "compose.staging.yaml"
    check = '    healthcheck: {test: [CMD, "false"], interval: 1s, retries: 1, start_period: 1ms}\n'
    compose.write_text(compose.read_text() + check)
    file = live.root / "environments" / "staging.toml"
    file.write_text(file.read_text().replace('"40s"', '"5s"'))
    done = live.deploy("v2")
    assert done.code == 9
    assert "running, unhealthy" in done.err, done.err
    still_serves(live)


def test_a_smoke_check_that_fails_withdraws_the_release(live: StagingProject) -> None:
    live.toml('\n[[smoke]]\nname = "impossible"\npath = "/health"\nstatus = [418]\n')
    done = live.deploy("v2")
    assert done.code == 9
    assert "impossible" in done.err
    still_serves(live)


def test_a_first_release_that_fails_leaves_nothing_behind(project: StagingProject) -> None:
    project.set(FAULT_CRASH="1")
    done = project.deploy("v1")
    assert done.code == 9
    names = project.docker("ps", "-a", "--format", "{{.Names}}", "--filter", f"name={project.name}")
    assert names == f"{project.compose_project}-postgres-1"
    status = project.ok("deploy", "status", "staging", "--json").data["data"]
    assert status["live"] is None


def test_an_image_that_does_not_build_touches_nothing(live: StagingProject) -> None:
    dockerfile = live.root / "examples/stockmind-api/Dockerfile"
    dockerfile.write_text("FROM debian:bookworm-slim\nRUN echo the-reason >&2 && exit 3\n")
    done = live.deploy("v2")
    assert done.code == 9
    assert "r0002 was withdrawn, r0001 serves" in done.err
    assert "the-reason" in done.err
    still_serves(live)


def test_a_migration_that_fails_names_its_line_and_the_old_release_serves(
    live: StagingProject,
) -> None:
    folder = live.root / "migrations"
    folder.joinpath("0013_bad.sql").write_text(
        "-- phase: expand\nCREATE TABLE fine (id int);\nCREATE TABEL wrong (id int);\n"
    )
    folder.joinpath("0013_bad.rollback.sql").write_text("DROP TABLE fine;\n")
    done = live.deploy("v2")
    assert done.code == 7
    assert "0013_bad.sql:3" in done.err
    assert live.psql("SELECT to_regclass('fine') IS NULL") == "t"
    still_serves(live)


def test_a_taken_port_is_said_and_nothing_stays(project: StagingProject) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", project.port))
        listener.listen()
        done = project.deploy("v1")
    assert done.code == 6
    assert str(project.port) in done.err
    assert project.deploy("v1").code == 0


def test_a_missing_and_a_broken_compose_file(live: StagingProject) -> None:
    compose = live.root / "environments" / "compose.staging.yaml"
    text = compose.read_text()
    compose.write_text("services:\n  app:\n    ports: [\n")
    broken = live.deploy("v2")
    assert broken.code == 3
    assert "environments/compose.staging.yaml:4:1 C010" in broken.err
    compose.unlink()
    missing = live.deploy("v2")
    assert missing.code == 3
    assert "staging.toml:5" in missing.err
    compose.write_text(text)
    still_serves(live)


def test_no_engine_is_said_before_anything_is_touched(live: StagingProject) -> None:
    done = live.run("deploy", "staging", "--tag", "v2", env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert done.code == 6
    assert "the Docker engine does not answer" in done.err
    assert "stockctl doctor" in done.err
    still_serves(live)


def test_an_engine_without_compose_is_said(live: StagingProject, tmp_path: Path) -> None:
    empty = tmp_path / "no-plugins"
    empty.mkdir()
    done = live.run("deploy", "staging", "--tag", "v2", env={"DOCKER_CONFIG": str(empty)})
    if done.code == 0:
        pytest.fail(
            "this machine has a Compose plugin outside DOCKER_CONFIG: the test sees nothing"
        )
    assert done.code == 6
    assert "Compose" in done.err
    still_serves(live)


def test_two_deploys_at_once(live: StagingProject) -> None:
    live.set(FAULT_START_DELAY_S="15")
    first = live.start("deploy", "staging", "--tag", "v2")
    live.until(first, "✓ replace")
    second = live.deploy("v3")
    assert second.code == 5
    assert "deploy r0002 (v2)" in second.err  # who holds it, doing what
    _, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    still_serves(live, "v2")


@pytest.mark.parametrize("phase", ["image", "services", "verify", "backup", "replace", "healthy"])
def test_ctrl_c_in_each_phase(live: StagingProject, phase: str) -> None:
    if phase == "replace":
        live.set(FAULT_START_DELAY_S="5")
    done = live.interrupt_at(f"✓ {phase}", "deploy", "staging", "--tag", "v2")
    assert done.code == 130, done.err
    still_serves(live)
    live.set(FAULT_START_DELAY_S="")
    assert live.deploy("v3").code == 0
    still_serves(live, "v3")


@pytest.mark.parametrize("phase", ["services", "backup", "replace"])
def test_a_killed_deploy_leaves_a_way_back_and_a_way_forward(
    live: StagingProject, phase: str
) -> None:
    live.set(FAULT_START_DELAY_S="5" if phase == "replace" else "")
    live.interrupt_at(f"✓ {phase}", "deploy", "staging", "--tag", "v2", number=signal.SIGKILL)
    live.set(FAULT_START_DELAY_S="")
    assert live.live() == "r0001"
    if phase == "replace":
        status = live.ok("deploy", "status", "staging")
        assert "a deploy was interrupted" in status.out
        back = live.run("deploy", "rollback", "staging", "--yes")
        assert back.code == 0, back.err
    still_serves(live)
    history = live.ok("deploy", "history", "staging")
    assert "interrupted" in history.out
    assert live.deploy("v3").code == 0
    still_serves(live, "v3")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_old_container_stops(live: StagingProject, number: int) -> None:
    """The engine goes on stopping it: what is put back must not be that container."""
    compose = live.root / "environments" / "compose.staging.yaml"
    slow = ["sh", "-c", "trap '' TERM; python3 -m stockmind & wait; wait"]
    compose.write_text(compose.read_text() + f"    command: {json.dumps(slow)}\n")
    live.toml('stop_timeout = "6s"\n')
    assert live.deploy("v2").code == 0
    process = live.start("deploy", "staging", "--tag", "v3")
    live.until(process, "✓ migrate")
    container = f"{live.compose_project}-app-1"
    stopping = time.monotonic() + 1.5  # well into `replace`, which lasts the six seconds
    eventually(lambda: time.monotonic() > stopping)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == 128 + number
    passed = time.monotonic() + 8
    eventually(lambda: time.monotonic() > passed)
    assert live.docker("inspect", "-f", "{{.State.Running}}", container) == "true"
    still_serves(live, "v2")


def test_sigterm_ends_in_an_orderly_way(live: StagingProject) -> None:
    live.set(FAULT_START_DELAY_S="5")
    argv = ("deploy", "staging", "--tag", "v2")
    done = live.interrupt_at("✓ replace", *argv, number=signal.SIGTERM)
    assert done.code == 143
    still_serves(live)


def test_a_rollback_to_something_broken_puts_back_what_ran(live: StagingProject) -> None:
    assert live.deploy("v2").code == 0
    kept = live.directory / "releases" / "r0001" / "compose.json"
    kept.write_text(kept.read_text().replace('"FAULT_CRASH": ""', '"FAULT_CRASH": "1"'))
    done = live.run("deploy", "rollback", "staging", "--yes")
    assert done.code == 9
    assert "r0002 was put back" in done.err
    assert live.live() == "r0002"
    still_serves(live, "v2")


def test_no_way_back_is_exit_11_and_says_what_to_type(live: StagingProject) -> None:
    kept = live.directory / "releases" / "r0001" / "compose.json"
    kept.write_text(kept.read_text().replace("sha256:", "sha256:00"))
    live.set(FAULT_CRASH="1")
    done = live.deploy("v2")
    assert done.code == 11, done.err
    assert "r0001 could not be brought back" in done.err
    assert "docker compose -p" in done.err


def test_rollback_without_a_release_before(live: StagingProject) -> None:
    done = live.run("deploy", "rollback", "staging", "--yes")
    assert done.code == 4
    unknown = live.run("deploy", "rollback", "staging", "--to", "r0099", "--yes")
    assert unknown.code == 2
    assert "r0001" in unknown.err


def test_a_rollback_past_a_contract_migration_is_refused(live: StagingProject) -> None:
    folder = live.root / "migrations"
    folder.joinpath("0013_take_away.sql").write_text(
        "-- phase: contract\nALTER TABLE projects DROP COLUMN description;\n"
    )
    folder.joinpath("0013_take_away.rollback.sql").write_text(
        "ALTER TABLE projects ADD COLUMN description text;\n"
    )
    second = live.deploy("v2")
    assert second.code == 0, second.err
    assert "0013_take_away" in second.err  # it waits
    contract = ("db", "migrate", "staging", "--phase", "contract")
    assert live.run(*contract).code == 4  # nobody confirmed it
    assert live.run(*contract, "--yes").code == 0
    done = live.run("deploy", "rollback", "staging", "--yes")
    assert done.code == 4
    assert "0013_take_away" in done.err
    still_serves(live, "v2")


def test_a_backup_leaves_the_sessions_of_the_server_alone(live: StagingProject) -> None:
    """An orphan in the database's container would make the postmaster restart all of them."""
    before = live.psql("SELECT pg_postmaster_start_time()")
    for _ in range(3):
        live.ok("backup", "create", "staging")
    log = live.docker("logs", f"{live.compose_project}-postgres-1")
    assert "terminated by signal" not in log
    assert live.psql("SELECT pg_postmaster_start_time()") == before


def test_a_killed_backup_ends_its_pg_dump_inside_the_container(live: StagingProject) -> None:
    container = f"{live.compose_project}-postgres-1"
    # pg_dump locks the parent of partitions, whose rows nobody counts before
    live.psql("CREATE TABLE parted (id int) PARTITION BY RANGE (id)")
    lock = "LOCK TABLE ONLY parted IN ACCESS EXCLUSIVE MODE"
    blocker = f"BEGIN; {lock}; SELECT pg_sleep(170); COMMIT;"
    live.docker("exec", "-d", container, "psql", "-U", "stockmind", "stockmind", "-c", blocker)
    locked = "SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
    eventually(lambda: live.psql(locked) == "t")
    process = live.start("backup", "create", "staging")

    def dumps() -> bool:
        return "pg_dump" in live.docker("top", container)

    eventually(dumps)
    process.kill()
    process.communicate()
    eventually(lambda: not dumps())
    assert live.ok("backup", "list", "staging", "--json").data["data"]["invalid"] == []
