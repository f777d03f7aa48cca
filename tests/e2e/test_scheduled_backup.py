"""Our own image on the real engine makes the backups of a project, and is not root."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stockctl.system.host import Holder
from stockctl.system.local import LocalHost
from tests.e2e.conftest import DEADLINE_S, REPO, StagingProject, eventually
from tests.ports import free_port
from tests.servers import a_server, scratch

pytestmark = pytest.mark.docker
OWNER = 10001
SCHEDULE = ("backup", "schedule", "staging", "--via", "compose")


@pytest.fixture
def scheduled(project: StagingProject) -> Iterator[StagingProject]:
    if os.geteuid() != 0:
        assert not os.environ.get("CI"), "these tests need root, to give a project to somebody else"
        pytest.skip("only root can give a project to somebody else")
    project.toml('\n[backup]\nschedule = "0 3 1 1 *"\n')
    yield project
    left = ["docker", "compose", "-p", f"{project.compose_project}-backup", "down"]
    subprocess.run([*left, "--timeout", "1"], capture_output=True, timeout=DEADLINE_S, check=False)


@pytest.fixture
def owned(scheduled: StagingProject) -> StagingProject:
    """A project that belongs to a user who is not root, its database runs; and the image."""
    subprocess.run([REPO / "tests/testbed/image.sh"], check=True, timeout=600)
    folder = scheduled.root / "environments"
    files = ("-f", f"{folder}/compose.yaml", "-f", f"{folder}/compose.staging.yaml")
    named = ("-p", scheduled.compose_project, *files, "--env-file", str(scheduled.env_file))
    scheduled.docker("compose", *named, "up", "--detach", "--wait", "postgres")
    hand_over(scheduled)
    return scheduled


def hand_over(project: StagingProject) -> None:
    subprocess.run(["chown", "-R", f"{OWNER}:{OWNER}", project.root], check=True)


def service_file(project: StagingProject) -> Path:
    return project.root / "environments" / "compose.backup-staging.yaml"


def containers(project: StagingProject) -> list[str]:
    label = f"label=com.docker.compose.project={project.compose_project}-backup"
    return project.docker("ps", "--all", "--quiet", "--filter", label).split()


def inspected(project: StagingProject, container: str) -> dict[str, Any]:
    document: list[dict[str, Any]] = json.loads(project.docker("inspect", container))
    return document[0]


def backups(project: StagingProject) -> list[dict[str, Any]]:
    listed = project.ok("backup", "list", "staging", "--json").data["data"]["backups"]
    assert isinstance(listed, list)
    return listed


def at_once(project: StagingProject) -> str:
    """Another container of the installed service, which does not wait for January."""
    named = ("-p", f"{project.compose_project}-backup", "-f", str(service_file(project)))
    command = ("--root", str(project.root), "backup", "schedule", "staging", "--run", "--now")
    return project.docker("compose", *named, "run", "--detach", "backup", *command)


def logs(container: str) -> str:
    done = subprocess.run(
        ["docker", "logs", container], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout + done.stderr


def ended(project: StagingProject, container: str) -> int:
    """Its exit code after SIGTERM: 137 if it had to be killed."""
    project.docker("stop", container)
    code: int = inspected(project, container)["State"]["ExitCode"]
    return code


def test_root_is_refused_and_nothing_is_left(scheduled: StagingProject) -> None:
    refused = scheduled.run(*SCHEDULE, "--install")
    assert refused.code == 3
    assert "must not be root" in refused.err
    assert not service_file(scheduled).exists()
    assert containers(scheduled) == []


def test_what_the_container_could_not_read_is_said_before(scheduled: StagingProject) -> None:
    hand_over(scheduled)
    os.chown(scheduled.env_file, 0, 0)
    refused = scheduled.run(*SCHEDULE, "--install")
    assert refused.code == 3
    assert f"chown -R --reference={scheduled.root} {scheduled.env_file}" in refused.err
    assert not service_file(scheduled).exists()


def test_installed_it_makes_backups(owned: StagingProject) -> None:
    shown = owned.ok(*SCHEDULE)
    assert not service_file(owned).exists()
    _needs_a_client_of_the_servers_version(owned)
    owned.ok(*SCHEDULE, "--install")
    assert service_file(owned).read_text() == shown.out
    (service,) = containers(owned)
    assert "is installed already" in owned.ok(*SCHEDULE, "--install").out
    assert containers(owned) == [service]
    _is_harmless(owned, service)
    eventually(lambda: "next backup of staging at" in logs(service), within_s=60)

    busy = at_once(owned)
    eventually(lambda: "backup of staging done" in logs(busy), within_s=120)
    assert len(backups(owned)) == 1
    assert (owned.directory / "backups").stat().st_uid == OWNER
    _does_not_overlap(owned)
    _is_ended_at_work(owned)

    for container in (busy, service):
        assert ended(owned, container) == 143
    owned.docker("start", service)
    owned.ok(*SCHEDULE, "--remove")
    assert service not in containers(owned)
    assert not service_file(owned).exists()
    assert "was not installed" in owned.ok(*SCHEDULE, "--remove").out
    assert len(backups(owned)) == 1
    owned.ok("backup", "verify", "staging")


def _needs_a_client_of_the_servers_version(project: StagingProject) -> None:
    """This machine has one, the image has not: that is found out now, and not at night."""
    base, port = project.root / "environments" / "base.toml", free_port()
    texts = {file: file.read_text() for file in (base, project.env_file)}
    base.write_text(texts[base].replace('service    = "postgres"\n', ""))
    project.set(DATABASE_URL=f"postgresql://postgres:any@127.0.0.1:{port}/postgres")
    options = f"-c listen_addresses=127.0.0.1 -c port={port}"
    with scratch("newer") as folder, a_server(17, folder, options=options) as server:
        path = f"{server.tools.folder}:{os.environ['PATH']}"
        refused = project.run(*SCHEDULE, "--install", env={"PATH": path})
    assert refused.code == 4, refused.err
    assert "not of the server's version: PostgreSQL 17" in refused.err
    assert "--via cron" in refused.err
    assert not service_file(project).exists()
    assert containers(project) == []
    for file, text in texts.items():
        file.write_text(text)


def _is_harmless(project: StagingProject, container: str) -> None:
    seen = inspected(project, container)
    assert seen["Config"]["User"] == f"{OWNER}:{OWNER}"
    assert project.docker("exec", container, "id", "-u") == str(OWNER)
    assert seen["HostConfig"]["ReadonlyRootfs"] is True
    password = project.env_file.read_text().partition("POSTGRES_PASSWORD=")[2].split()[0]
    assert len(password) > 32
    assert password not in json.dumps(seen)
    assert password not in service_file(project).read_text()
    refused = subprocess.run(
        ["docker", "exec", container, "touch", str(project.env_file)], capture_output=True
    )
    assert b"Read-only file system" in refused.stderr


def _does_not_overlap(project: StagingProject) -> None:
    """Somebody outside of the container has the lock."""
    before = backups(project)
    lock = project.directory / "backup.lock"
    holder = Holder("test", "backup", datetime.now(UTC))
    with LocalHost().lock(lock, holder):
        second = at_once(project)
        eventually(lambda: "failed with exit code 5" in logs(second), within_s=60)
    assert ended(project, second) == 143
    assert backups(project) == before


def _is_ended_at_work(project: StagingProject) -> None:
    """The database hangs, so the backup does."""
    before = backups(project)
    names = ("--filter", "label=com.docker.compose.service=postgres")
    mine = ("--filter", f"label=com.docker.compose.project={project.compose_project}")
    database = project.docker("ps", "--quiet", *mine, *names)
    project.docker("pause", database)
    try:
        working = at_once(project)
        eventually(lambda: "backup create" in project.docker("top", working), within_s=60)
        assert ended(project, working) == 143
    finally:
        project.docker("unpause", database)
    assert backups(project) == before


def test_without_an_engine_nothing_is_written(scheduled: StagingProject) -> None:
    hand_over(scheduled)
    nowhere = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    refused = scheduled.run(*SCHEDULE, "--install", env=nowhere)
    assert refused.code == 6
    assert "docker.sock" in refused.err
    assert not service_file(scheduled).exists()


def test_a_file_of_somebody_else_is_left_alone(scheduled: StagingProject) -> None:
    service_file(scheduled).write_text("services: {}\n")
    hand_over(scheduled)
    for option in ("--install", "--remove"):
        assert scheduled.run(*SCHEDULE, option).code == 4
    assert service_file(scheduled).read_text() == "services: {}\n"
    assert containers(scheduled) == []
