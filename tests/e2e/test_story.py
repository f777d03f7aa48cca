"""The main job, from an empty machine to a restored database."""

from __future__ import annotations

from stockctl.core.secret import Secret
from stockctl.system.local import LocalHost
from stockctl.system.postgres import Database, Dsn
from tests.e2e.conftest import StagingProject

CONTRACT = {"id", "version", "image", "image_id", "previous", "schema_head", "migrations", "steps"}

SMOKE = {"health", "register", "login", "login rate limit", "CORS header", "security headers"}
SMOKE |= {"pagination", "pagination limit", "resource limit", "error envelope", "metrics"}


def test_deploy_the_next_roll_back_and_restore(project: StagingProject) -> None:
    first = project.deploy("v1", "--json")
    assert first.code == 0, first.err
    release = first.data["data"]["release"]
    assert set(release) >= CONTRACT
    assert release["id"] == "r0001"
    assert release["image_id"].startswith("sha256:")
    assert len(release["migrations"]) == 12
    assert release["schema_head"] == "0012_index_comments"
    assert {"image", "backup", "migrate", "replace", "healthy"} <= {
        step["name"] for step in release["steps"] if step["ok"]
    }
    assert project.version() == "v1"
    doctor = project.ok("doctor", "staging", "--json").data["data"]["checks"]
    assert {check["name"] for check in doctor} >= {"engine", "compose", "database", "backup store"}

    project.psql("INSERT INTO projects (user_id, name) SELECT id, 'precious' FROM users LIMIT 1")
    backup = project.ok("backup", "create", "staging", "--json").data["data"]["backup"]
    assert backup["schema_head"] == "0012_index_comments"

    assert project.deploy("v2").code == 0
    assert project.version() == "v2"
    back = project.ok("deploy", "rollback", "staging", "--yes", "--json").data["data"]
    assert (back["release"]["id"], back["replaced"]) == ("r0001", "r0002")
    assert project.version() == "v1"

    told = project.ok("status", "staging", "--json").data["data"]
    assert told["well"], told
    assert (told["release"]["id"], told["release"]["newest"]) == ("r0001", "r0002")
    assert {c["service"] for c in told["release"]["containers"]} == {"app", "postgres"}
    assert told["health"]["requests"] == 0  # since the rollback; health checks are no users

    project.psql("DELETE FROM projects")
    done = project.ok("backup", "restore", "staging", "--backup", backup["id"], "--yes", "--json")
    restored = done.data["data"]["restored"]
    assert restored["outage_s"] < 5
    assert project.psql("SELECT name FROM projects") == "precious"
    smoke = project.ok("smoke", "staging", "--json").data["data"]["checks"]
    assert {each["name"] for each in smoke if each["ok"]} == SMOKE

    status = project.ok("deploy", "status", "staging", "--json").data["data"]
    assert status["live"]["id"] == "r0001"
    assert status["pending_migrations"] == []
    assert status["locked_by"] is None
    releases = project.ok("deploy", "history", "staging", "--json").data["data"]["releases"]
    assert [release["id"] for release in releases] == ["r0002", "r0001"]
    journal = project.ok("journal", "staging", "--json").data["data"]["entries"]
    assert {entry["outcome"] for entry in journal} == {"finished"}


def test_a_plan_changes_nothing(project: StagingProject) -> None:
    plan = project.deploy("v1", "--plan", "--json")
    assert plan.code == 0, plan.err
    assert plan.data["data"]["planned"]["id"] == "r0001"
    assert project.docker("ps", "-aq", "--filter", f"name={project.name}") == ""
    assert not (project.directory / "releases").exists()


def test_a_rollback_brings_back_the_configuration_too(project: StagingProject) -> None:
    project.set(LOG_LEVEL="warn")
    assert project.deploy("v1").code == 0
    project.set(LOG_LEVEL="error")
    assert project.deploy("v2").code == 0
    # nothing of the working tree is needed for the way back
    (project.root / "environments" / "compose.yaml").unlink()
    project.env_file.unlink()
    back = project.run("deploy", "rollback", "staging", "--yes")
    assert back.code == 0, back.err
    assert "C006" in back.err  # what is wrong is said, and in nobody's way
    container = f"{project.compose_project}-app-1"
    environment = project.docker("inspect", "-f", "{{json .Config.Env}}", container)
    assert "LOG_LEVEL=warn" in environment


def test_a_protected_environment_wants_its_name(project: StagingProject) -> None:
    file = project.root / "environments" / "staging.toml"
    file.write_text("protected = true\n" + file.read_text())
    refused = project.deploy("v1", "--yes")
    assert refused.code == 4
    assert "--confirm staging" in refused.err
    assert project.docker("ps", "-aq", "--filter", f"name={project.name}") == ""
    assert project.deploy("v1", "--confirm", "prod").code == 4
    assert project.deploy("v1", "--confirm", "staging").code == 0


def test_what_was_started_by_hand_is_adopted_and_comes_back(project: StagingProject) -> None:
    assert project.deploy("v1").code == 0
    # as if stockctl had never been here: its container runs, its records are gone
    for record in ("live.json", "releases"):
        (project.directory / record).rename(project.root / f"gone-{record}")
    project.set(LOG_LEVEL="error")
    failed = project.run("deploy", "staging", "--image", "debian:bookworm-slim")
    assert failed.code == 9, failed.err
    assert "r0000 serves again" in failed.err
    assert project.version() == "v1"
    container = f"{project.compose_project}-app-1"
    environment = project.docker("inspect", "-f", "{{json .Config.Env}}", container)
    assert "LOG_LEVEL=debug" in environment  # as it was started, not as the file says now
    assert project.ok("deploy", "status", "staging", "--json").data["data"]["live"]["id"] == "r0000"


def test_a_proxy_does_not_start_the_release_before_its_time(project: StagingProject) -> None:
    compose = project.root / "environments" / "compose.staging.yaml"
    proxy = "\n  proxy:\n    image: debian:bookworm-slim\n    command: [sleep, infinity]\n"
    compose.write_text(compose.read_text() + proxy + "    depends_on: [app]\n    init: true\n")
    folder = project.root / "migrations"
    folder.joinpath("0013_bad.sql").write_text("-- phase: expand\nCREATE TABEL wrong (id int);\n")
    folder.joinpath("0013_bad.rollback.sql").write_text("DROP TABLE wrong;\n")
    assert project.deploy("v1").code == 7
    running = project.docker("ps", "--format", "{{.Names}}", "--filter", f"name={project.name}")
    assert f"{project.compose_project}-proxy-1" in running
    assert f"{project.compose_project}-app-1" not in running


def test_old_releases_are_forgotten_but_never_the_way_back(project: StagingProject) -> None:
    project.toml("\n[deploy]\nkeep = 2\nbackup_first = false\n")
    for tag in ("v1", "v2", "v3"):
        assert project.deploy(tag).code == 0
    releases = project.ok("deploy", "history", "staging", "--json").data["data"]["releases"]
    assert [release["id"] for release in releases] == ["r0003", "r0002"]
    assert project.run("deploy", "rollback", "staging", "--yes").code == 0
    assert project.version() == "v2"


def test_the_stack_keeps_secrets_in_files_of_mode_0600(project: StagingProject) -> None:
    project.set(APIFY_API_KEY="canary-0f8a7c6e5d4b3a2918")
    outputs = [project.deploy("v1", "-v"), project.run("env", "show", "staging")]
    outputs += [project.run("deploy", "status", "staging", "--json"), project.run("doctor", "-v")]
    assert not any("canary-0f8a7c6e5d4b3a2918" in done.out + done.err for done in outputs)
    wide = [
        file
        for file in project.directory.rglob("*")
        if file.is_file() and file.name != ".gitignore" and file.stat().st_mode & 0o077
    ]
    assert wide == []


def test_a_password_reaches_a_tool_of_this_machine(
    project: StagingProject, server: Database
) -> None:
    """The server in the container asks for one, unlike the embedded one of the other tests."""
    assert project.deploy("v1").code == 0
    lines = [line for line in project.env_file.read_text().splitlines() if line[:1].isalpha()]
    values = dict(line.split("=", 1) for line in lines)
    right = Secret(values["POSTGRES_PASSWORD"])
    port = int(values["POSTGRES_PORT"])
    for password, code in ((right, 0), (Secret("wrong"), 2)):
        dsn = Dsn("127.0.0.1", port, "stockmind", password, "stockmind")
        with server.tools.command("psql", "-XAtc", "SELECT 1", dsn=dsn) as psql:
            done = LocalHost().run(psql, timeout_s=20, check=False)
        assert done.exit_code == code, done.stderr
