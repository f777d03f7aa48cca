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


# Whatever the release is given: its files, its neighbour by the file that sets a password there,
# and nothing of a folder that the live service may write to.
LOOK_AROUND = """
import os, socket
cache = socket.create_connection(("cache", 6379), 5)
cache.sendall(b"AUTH from-a-file\\r\\nDBSIZE\\r\\n")
said = b""
while said.count(b"\\n") < 2:
    said += cache.recv(100)
assert said == b"+OK\\r\\n:0\\r\\n", said
assert open("/run/secrets/key").read() == "of a lock"
assert os.listdir("/uploads") == []
try:
    open("/etc/settings.ini", "a")
except OSError as error:
    assert error.errno == 30, error  # EROFS
else:
    raise SystemExit("a live file can be written to")
"""
NEIGHBOURS = """
  cache:
    image: stockctl-testbed/redis:7
    command: [redis-server, /etc/redis.conf]
    volumes: ["./redis.conf:/etc/redis.conf:ro", "cache-data:/data"]
    healthcheck: {test: [CMD, redis-cli, ping], interval: 1s}
  mailer:
    image: stockctl-testbed/redis:7
volumes:
  cache-data:
secrets:
  key: {file: ./key}
"""


def with_neighbours(project: StagingProject) -> Path:
    """More services, and files beside them; returns a folder of live data."""
    folder, uploads = project.root / "environments", project.root / "uploads"
    uploads.mkdir()
    (uploads / "precious").write_text("x")
    for name, text in (
        ("redis.conf", "requirepass from-a-file\n"), ("key", "of a lock"), ("settings.ini", "a=b\n")
    ):  # fmt: skip
        (folder / name).write_text(text)
        (folder / name).chmod(0o666)
    file = folder / "compose.staging.yaml"
    lines = (
        "    depends_on: {cache: {condition: service_healthy}}",
        "    secrets: [key]",
        '    volumes: ["./settings.ini:/etc/settings.ini", "../uploads:/uploads"]',
    )
    file.write_text(file.read_text().rstrip() + "\n" + "\n".join(lines) + NEIGHBOURS)
    return uploads


def migration(
    project: StagingProject, number: int, up: str, down: str, phase: str = "expand"
) -> None:
    folder = project.root / "migrations"
    (folder / f"{number:04d}_new.sql").write_text(f"-- phase: {phase}\n{up}\n")
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
    line = f"release_command = {json.dumps(argv)}\n" if argv else ""
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
    uploads = with_neighbours(project)
    assert project.deploy("v1").code == 0
    project.docker(
        "exec", f"{project.compose_project}-cache-1",
        "redis-cli", "-a", "from-a-file", "SET", "live", "1",
    )  # fmt: skip
    project.psql("INSERT INTO projects (user_id, name) SELECT id, 'precious' FROM users LIMIT 1")
    project.ok("backup", "create", "staging")
    containers = project.docker("ps", "-aq", "--filter", f"name={project.compose_project}-")

    migration(project, 13, "CREATE TABLE extra (id int);", "DROP TABLE extra;")
    slow = "ALTER TABLE projects ADD COLUMN note text;\nSELECT pg_sleep(1.1);"
    migration(project, 14, slow, "ALTER TABLE projects DROP COLUMN note;")
    rename = "ALTER TABLE users RENAME COLUMN {} TO {};"
    up, down = rename.format("password_hash", "secret"), rename.format("secret", "password_hash")
    migration(project, 15, up, down, "contract")
    release_command(project, "python3", "-c", LOOK_AROUND)
    project.commit("one").write_text("two")
    # whoever asked something of the live system would wait for ever
    live = [f"{project.compose_project}-{name}-1" for name in ("app", "postgres", "cache")]
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
    assert found["services"] == ["postgres", "cache", "app"]
    assert found["left_out"] == [
        "mailer: nothing needs it",
        f"app: {uploads} may be data of the live service: an empty volume stands for it",
    ]
    assert [each.name for each in uploads.iterdir()] == ["precious"]
    _told_of_a_contract_migration_that_breaks_the_release(found)
    assert left(project) == ""
    release_command(project)
    evidence = project.directory / "evidence" / "rehearsal.json"
    assert not evidence.exists()  # what was rehearsed is in no commit
    project.commit("two")
    assert not (project.directory / "rehearsal").exists()
    assert project.docker("ps", "-aq", "--filter", f"name={project.compose_project}-") == containers
    assert project.psql("SELECT to_regclass('extra') IS NULL") == "t"
    assert project.psql("SELECT count(*) FROM users WHERE email LIKE 'smoke-%'") == "1"

    for file in Path(project.root / "migrations").glob("0015_new*"):
        file.unlink()
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


def _told_of_a_contract_migration_that_breaks_the_release(found: dict[str, Any]) -> None:
    """It is no part of the deploy, which may go on."""
    later = found["contract"]
    assert (found["ok"], later["ok"], later["closes"]) == (True, False, ["r0001"])
    (renamed,) = later["migrations"]
    assert (renamed["id"], renamed["ok"]) == ("0015_new", True)
    assert "AccessExclusiveLock on users" in renamed["locks"]
    assert "register" in [check["name"] for check in later["smoke"] if not check["ok"]]


def test_a_database_outside_compose_has_a_stand_in(project: StagingProject) -> None:
    base = project.root / "environments" / "base.toml"
    text = base.read_text()
    base.write_text(text.replace('service    = "postgres"\n', 'image = "nowhere.invalid/pg:15"\n'))
    assert project.deploy("v1").code == 0
    project.psql("ALTER TABLE projects ADD COLUMN old text")
    project.psql("INSERT INTO projects (user_id, name, old) SELECT id, 'a', 'x' FROM users LIMIT 1")
    project.ok("backup", "create", "staging")
    migration(project, 13, "CREATE TABLE extra (id int);", "DROP TABLE extra;")
    drop, again = (
        "ALTER TABLE projects DROP COLUMN old;",
        "ALTER TABLE projects ADD COLUMN old text;",
    )
    migration(project, 14, drop, again, "contract")
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
    later = found["contract"]
    assert (later["ok"], later["closes"]) == (True, ["r0001"])
    assert [p["code"] for p in later["migrations"][0]["problems"]] == ["P014"]
    assert {check["ok"] for check in later["smoke"]} == {True}
    assert {check["ok"] for check in found["smoke"]} == {True}
    assert found["forecast_s"] > 1
    assert left(project) == ""
    assert project.psql("SELECT to_regclass('by_command') IS NULL") == "t"

    release_command(project, "sh", "-c", "echo no such column; exit 3")
    wrong = rehearse(project, 9)
    assert "no such column" in wrong["release_command_failed"]
    assert (wrong["start_s"], wrong["forecast_s"], wrong["ok"]) == (None, None, False)
    assert left(project) == ""
