"""The deploy on a copy: what it finds out, and that nothing of the live system is touched."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

from stockctl.core.command import Command
from stockctl.system.compose import Stack, erase
from stockctl.system.local import LocalHost
from tests.e2e.conftest import StagingProject

# A migrator of the service's own, which finds the copy where the service would.
BY_COMMAND = (
    "import os, psycopg; connection = psycopg.connect(os.environ['DATABASE_URL']);"
    " connection.execute('CREATE TABLE by_command AS SELECT * FROM extra'); connection.commit()"
)


def migration(project: StagingProject, number: int, up: str, down: str) -> None:
    folder = project.root / "migrations"
    (folder / f"{number:04d}_new.sql").write_text(f"-- phase: expand\n{up}\n")
    (folder / f"{number:04d}_new.rollback.sql").write_text(f"{down}\n")


def rehearse(project: StagingProject, code: int) -> dict[str, Any]:
    done = project.run("deploy", "rehearse", "staging", "--tag", "v2", "--json")
    assert done.code == code, done.out + done.err
    data: dict[str, Any] = done.data["data"]
    return data


def release_command(project: StagingProject, *argv: str) -> None:
    """Of the environment; anew."""
    base = project.root / "environments" / "base.toml"
    kept = [line for line in base.read_text().splitlines() if "release_command" not in line]
    text = "\n".join(kept) + "\n"
    if "[deploy]\n" not in text:
        text += "\n[deploy]\n"
    line = f"release_command = {json.dumps(argv)}\n"
    base.write_text(text.replace("[deploy]\n", f"[deploy]\n{line}", 1))


def left(project: StagingProject) -> str:
    """What is there of the rehearsal's project."""
    wanted = f"label=com.docker.compose.project={project.compose_project}-rehearsal"
    kinds = (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q"))
    return "".join(project.docker(*kind, "--filter", wanted) for kind in kinds)


def test_a_volume_without_a_name_goes_too(tmp_path: Path) -> None:
    """A database's image asks for one, and all its data are in it."""
    name = f"sct{uuid.uuid4().hex[:8]}"
    file = tmp_path / "compose.json"
    file.write_text(json.dumps({"services": {"db": {"image": "stockctl-testbed/postgres:15"}}}))
    host = LocalHost()
    host.run(Stack(name, file).start(("db",)), timeout_s=60)
    asked = "{{range .Mounts}}{{.Name}}{{end}}"
    inspect = Command(("docker", "inspect", f"{name}-db-1", "--format", asked))
    volume = host.run(inspect, timeout_s=60).stdout.strip()
    listed = Command(("docker", "volume", "ls", "--quiet", "--filter", f"name={volume}"))
    assert volume
    assert host.run(listed, timeout_s=60).stdout.strip() == volume
    host.run(erase(name, ("db",)), timeout_s=60)
    assert host.run(listed, timeout_s=60).stdout == ""


def test_a_deploy_is_rehearsed_on_a_copy(project: StagingProject) -> None:
    none = project.run("deploy", "rehearse", "staging", "--tag", "v2")
    assert (none.code, "nothing to rehearse with" in none.err) == (8, True)
    assert project.deploy("v1").code == 0
    project.psql("INSERT INTO projects (user_id, name) SELECT id, 'precious' FROM users LIMIT 1")
    project.ok("backup", "create", "staging")
    containers = project.docker("ps", "-aq", "--filter", f"name={project.compose_project}-")

    migration(project, 13, "CREATE TABLE extra (id int);", "DROP TABLE extra;")
    slow = "ALTER TABLE projects ADD COLUMN note text;\nSELECT pg_sleep(1.1);"
    migration(project, 14, slow, "ALTER TABLE projects DROP COLUMN note;")
    project.commit("one").write_text("two")
    # whoever asked something of the live system would wait for ever
    live = [f"{project.compose_project}-{name}-1" for name in ("app", "postgres")]
    project.docker("pause", *live)
    try:
        found = rehearse(project, 0)
    finally:
        project.docker("unpause", *live)
    assert found["ok"]
    first, second = found["migrations"]
    assert (first["blocks"], first["reversible"]) == ([], True)
    assert second["blocks"] == ["projects"]
    assert "AccessExclusiveLock on projects" in second["locks"]
    assert second["up_s"] > 1
    assert {check["ok"] for check in found["smoke"]} == {True}
    assert len(found["smoke"]) == 11
    assert found["forecast_s"] > 1
    steps = {"restore", "copy", "apply", "there and back", "start", "smoke", "take away"}
    assert steps <= set(found["spent_s"])
    assert found["way_back"].endswith("--with-database")
    assert left(project) == ""
    evidence = project.directory / "evidence" / "rehearsal.json"
    assert not evidence.exists()  # what was rehearsed is in no commit
    project.commit("two")
    assert not (project.directory / "rehearsal").exists()
    assert project.docker("ps", "-aq", "--filter", f"name={project.compose_project}-") == containers
    assert project.psql("SELECT to_regclass('extra') IS NULL") == "t"
    assert project.psql("SELECT count(*) FROM users WHERE email LIKE 'smoke-%'") == "1"

    migration(project, 13, "CREATE TABLE extra (id int);", "SELECT 1;")
    migration(project, 14, "ALTER TABLE projects ADD COLUMN name text;", "SELECT 1;")
    wrong = rehearse(project, 7)
    assert [p["code"] for p in wrong["migrations"][0]["problems"]] == ["P003", "P017"]
    assert re.fullmatch("v2@[0-9a-f]{40}", json.loads(evidence.read_text())["of"])
    assert "already exists" in wrong["migrations"][1]["failed"]
    assert (wrong["forecast_s"], wrong["smoke"], wrong["ok"]) == (None, None, False)
    assert left(project) == ""

    for file in Path(project.root / "migrations").glob("001[34]_new*"):
        file.unlink()
    project.set(FAULT_CRASH="1")
    crashed = rehearse(project, 9)
    assert "app does not run in the rehearsal" in crashed["unwell"]
    assert "FAULT_CRASH" in crashed["unwell"]  # its last words
    assert left(project) == ""


def test_a_database_outside_compose_has_a_stand_in(project: StagingProject) -> None:
    base = project.root / "environments" / "base.toml"
    text = base.read_text()
    base.write_text(text.replace('service    = "postgres"\n', 'image = "nowhere.invalid/pg:15"\n'))
    assert project.deploy("v1").code == 0
    project.ok("backup", "create", "staging")
    migration(project, 13, "CREATE TABLE extra (id int);", "DROP TABLE extra;")
    none = project.run("deploy", "rehearse", "staging", "--tag", "v2")
    assert (none.code, "database.image names the image" in none.err) == (6, True)

    base.write_text(
        base.read_text().replace("nowhere.invalid/pg:15", "stockctl-testbed/postgres:15")
    )
    release_command(project, "python3", "-c", BY_COMMAND)
    live = [f"{project.compose_project}-{name}-1" for name in ("app", "postgres")]
    project.docker("pause", *live)
    try:
        found = rehearse(project, 0)
    finally:
        project.docker("unpause", *live)
    assert [each["ok"] for each in found["migrations"]] == [True]
    assert found["release_command_s"] > 0
    assert {check["ok"] for check in found["smoke"]} == {True}
    assert found["forecast_s"] > 1
    assert left(project) == ""
    assert project.psql("SELECT to_regclass('by_command') IS NULL") == "t"

    release_command(project, "sh", "-c", "echo no such column; exit 3")
    wrong = rehearse(project, 9)
    assert "no such column" in wrong["release_command_failed"]
    assert (wrong["start_s"], wrong["forecast_s"], wrong["ok"]) == (None, None, False)
    assert left(project) == ""
