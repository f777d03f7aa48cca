"""Broken on purpose: whatever goes wrong, what served before serves afterwards.

One project for the tests of `live`: each finds v1 serving and must leave it so.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import StagingProject, still_serves
from tests.e2e.shared import Shared


@pytest.fixture
def live(shared: Shared) -> Iterator[StagingProject]:
    """v1 serves, before and after, whatever else was tried. Its files are put back."""
    with shared.lent() as project:
        yield project
        assert project.version() == "v1"
        assert '"r0001"' in (project.directory / "live.json").read_text()


def test_a_release_that_never_gets_healthy_is_withdrawn(live: StagingProject) -> None:
    live.set(FAULT_UNHEALTHY="1")
    file = live.root / "environments" / "staging.toml"
    file.write_text(file.read_text().replace('"40s"', '"4s"'))
    done = live.deploy("v2")
    assert done.code == 9
    history = live.ok("deploy", "history", "staging", "--json").data["data"]["releases"]
    assert [history[0]["state"], history[-1]["state"]] == ["failed", "finished"]
    assert f"{history[0]['id']} was withdrawn, r0001 serves again" in done.err
    assert "its last lines" in done.err
    assert "503" in done.err  # the last health answer
    still_serves(live)


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
    assert re.search(r"r\d{4} was withdrawn, r0001 serves", done.err)
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


def test_a_rollback_to_something_broken_puts_back_what_ran(deployed: StagingProject) -> None:
    assert deployed.deploy("v2").code == 0
    kept = deployed.directory / "releases" / "r0001" / "compose.json"
    kept.write_text(kept.read_text().replace('"FAULT_CRASH": ""', '"FAULT_CRASH": "1"'))
    done = deployed.run("deploy", "rollback", "staging", "--yes")
    assert done.code == 9
    assert "r0002 was put back" in done.err
    assert deployed.live() == "r0002"
    still_serves(deployed, "v2")


def test_no_way_back_is_exit_11_and_says_what_to_type(deployed: StagingProject) -> None:
    kept = deployed.directory / "releases" / "r0001" / "compose.json"
    kept.write_text(kept.read_text().replace("sha256:", "sha256:00"))
    deployed.set(FAULT_CRASH="1")
    done = deployed.deploy("v2")
    assert done.code == 11, done.err
    assert "r0001 could not be brought back" in done.err
    assert "docker compose -p" in done.err


def test_rollback_without_a_release_before(live: StagingProject) -> None:
    done = live.run("deploy", "rollback", "staging", "--yes")
    assert done.code == 4
    unknown = live.run("deploy", "rollback", "staging", "--to", "r0099", "--yes")
    assert unknown.code == 2
    assert "r0001" in unknown.err


def test_a_rollback_past_a_contract_migration_is_refused(deployed: StagingProject) -> None:
    folder = deployed.root / "migrations"
    folder.joinpath("0013_take_away.sql").write_text(
        "-- phase: contract\nALTER TABLE projects DROP COLUMN description;\n"
    )
    folder.joinpath("0013_take_away.rollback.sql").write_text(
        "ALTER TABLE projects ADD COLUMN description text;\n"
    )
    second = deployed.deploy("v2")
    assert second.code == 0, second.err
    assert "0013_take_away" in second.err  # it waits
    contract = ("db", "migrate", "staging", "--phase", "contract")
    assert deployed.run(*contract).code == 4  # nobody confirmed it
    assert deployed.run(*contract, "--yes").code == 0
    done = deployed.run("deploy", "rollback", "staging", "--yes")
    assert done.code == 4
    assert "0013_take_away" in done.err
    still_serves(deployed, "v2")


def test_a_backup_leaves_the_sessions_of_the_server_alone(live: StagingProject) -> None:
    """An orphan in the database's container would make the postmaster restart all of them."""
    before = live.psql("SELECT pg_postmaster_start_time()")
    for _ in range(3):
        live.ok("backup", "create", "staging")
    log = live.docker("logs", f"{live.compose_project}-postgres-1")
    assert "terminated by signal" not in log
    assert live.psql("SELECT pg_postmaster_start_time()") == before
