"""A restore whose tools run in the database's container: extensions, privileges, refusals."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import StagingProject

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


def test_extensions_and_privileges_come_back_through_the_container(served: StagingProject) -> None:
    for statement in SCENE:
        served.psql(statement)
    assert served.psql(LOOK) == THERE
    served.ok("backup", "create", "staging")
    served.psql("DROP TABLE item")
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
