"""A restore whose tools run in the database's container: extensions, privileges, refusals."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.e2e.conftest import StagingProject, eventually

pytestmark = pytest.mark.docker
CONTROL = "/usr/share/postgresql/15/extension/pg_trgm.control"
SCENE = (
    "CREATE ROLE app LOGIN",
    "CREATE SCHEMA ext",
    "CREATE EXTENSION pg_trgm SCHEMA ext",
    "CREATE TABLE item AS SELECT 'abc' || n AS name FROM generate_series(1, 50) n",
    "CREATE INDEX ON item USING gin (name ext.gin_trgm_ops)",
    "GRANT SELECT ON item TO app",
    "GRANT USAGE ON SCHEMA ext TO app",
)
LOOK = """
SELECT has_table_privilege('app', 'item', 'SELECT'), has_table_privilege('app', 'item', 'INSERT'),
  has_schema_privilege('app', 'ext', 'USAGE'), (SELECT count(*) FROM item),
  (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm'),
  (SELECT count(*) FROM pg_index WHERE indrelid = 'item'::regclass AND indisvalid)
"""
THERE = "t|f|t|50|ext|1"
SLOW = (
    "CREATE FUNCTION slow(int) RETURNS bool LANGUAGE sql"
    " AS 'SELECT pg_sleep(0.05 * (current_user ~ ''^stockctl'')::int) IS NOT NULL'",
    "CREATE TABLE slow (n int CHECK (slow(n)))",
    "INSERT INTO slow SELECT generate_series(1, 1000)",
)
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename ~ '^stockctl_restore'"
TEMPORARY = ("/tmp", "/var/tmp", "-type", "f")
COPIES = "SELECT count(*) FROM pg_database WHERE datname ~ '_restore_'"


@pytest.fixture
def served(project: StagingProject) -> StagingProject:
    """Only its database runs."""
    folder = project.root / "environments"
    files = ("-f", f"{folder}/compose.yaml", "-f", f"{folder}/compose.staging.yaml")
    named = ("-p", project.compose_project, *files, "--env-file", str(project.env_file))
    project.docker("compose", *named, "up", "--detach", "--wait", "postgres")
    return project


def inside(project: StagingProject, *command: str) -> None:
    project.docker("compose", "-p", project.compose_project, "exec", "-T", "postgres", *command)


def ours(project: StagingProject) -> str:
    """What of a restore runs in the database's container: tools, shells, sessions."""
    lines = project.docker("top", inside_id(project), "-eo", "pid,args").splitlines()
    return "\n".join(line for line in lines if "stockctl" in line or "pg_restore" in line)


def inside_id(project: StagingProject) -> str:
    return project.docker("compose", "-p", project.compose_project, "ps", "-q", "postgres")


def test_extensions_and_privileges_come_back_through_the_container(served: StagingProject) -> None:
    for statement in SCENE:
        served.psql(statement)
    assert served.psql(LOOK) == THERE
    served.ok("backup", "create", "staging")
    served.psql("DROP TABLE item")
    plan = served.ok("backup", "restore", "staging", "--plan", "--json").data["data"]["planned"]
    copy, saved, *_dump = plan["room"]
    assert copy["folder"] == served.psql("SHOW data_directory")
    assert copy["free_bytes"] > 0
    assert (copy["what"], saved["what"]) == ("the copy", "the safety backup")
    restore = ("backup", "restore", "staging", "--backup", "latest", "--skip-backup", "--yes")
    served.ok(*restore)
    assert served.psql(LOOK) == THERE

    before = served.psql("SELECT datname FROM pg_database ORDER BY 1")
    inside(served, "mv", CONTROL, f"{CONTROL}.away")
    for more in (("--plan",), ("--table", "item")):
        refused = served.run(*restore, *more)
        assert refused.code != 0
        assert "this server has no extension pg_trgm" in refused.err
        assert served.psql("SELECT datname FROM pg_database ORDER BY 1") == before
        assert served.psql(LOOK) == THERE

    _killed_it_leaves_nothing_inside(served)


def _killed_it_leaves_nothing_inside(served: StagingProject) -> None:
    """Parallel jobs from a file in the container; another session does not notice."""
    for statement in SLOW:
        served.psql(statement)
    inside(served, "mv", f"{CONTROL}.away", CONTROL)
    served.ok("backup", "create", "staging")
    restore = ("backup", "restore", "staging", "--skip-backup", "--yes", "--jobs", "2")
    process = served.start(*restore)
    eventually(lambda: served.psql(SESSIONS) != "0", within_s=60)
    assert "-j 2 /proc/" in ours(served)
    assert served.docker("exec", inside_id(served), "find", *TEMPORARY) == ""
    process.send_signal(signal.SIGKILL)
    process.communicate()
    eventually(lambda: ours(served) == "")
    assert served.docker("exec", inside_id(served), "find", *TEMPORARY) == ""
    eventually(lambda: served.psql(SESSIONS) == "0")
    logged = subprocess.run(["docker", "logs", inside_id(served)], capture_output=True, timeout=30)
    assert b"terminating any other active" not in logged.stderr + logged.stdout
    assert served.psql(COPIES) == "1"
    served.psql("DROP TABLE slow")
    served.ok("backup", "create", "staging")
    assert served.psql(COPIES) == "0"
