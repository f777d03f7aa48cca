"""The live schema against the migrations: what was changed by hand, what was made by others."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import FakeClock
from tests.integration.db.proof.conftest import Migrations
from tests.servers import on_each_postgres, on_one_postgres
from tests.terminal import LIMIT_S, STOCKCTL

from stockctl.core.errors import Locked, Refused
from stockctl.db.baseline import BaselinePlan, baseline, plan_baseline
from stockctl.db.drift import Drift, find_drift
from stockctl.db.ledger import State, read_status
from stockctl.db.migration import read_migrations
from stockctl.db.runner import migrate, plan_migrate
from stockctl.db.scratch import PREFIX, scratch
from stockctl.db.session import Limits, open_session
from stockctl.system.postgres import Database

LIMITS = Limits(2, 60)
FIRST = """CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE people (id int PRIMARY KEY, mood mood);
COMMENT ON TABLE people IS 'who';"""
SECOND = "CREATE INDEX people_mood ON people (mood)"
DRIZZLE = """CREATE SCHEMA drizzle;
CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL,
    created_at bigint); INSERT INTO drizzle.__drizzle_migrations (hash, created_at)
VALUES ('x', 1764115200000), ('y', 1764115260000);"""
# other tests have theirs on this server, each held by a lock of its session
ABANDONED = """
SELECT datname FROM pg_database AS d WHERE datname LIKE %s AND NOT EXISTS (
  SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
     AND objid = (hashtext(d.datname)::bigint & 4294967295)::oid)
"""


@pytest.fixture
def written(migrations: Migrations) -> Migrations:
    migrations.write("0001_first", FIRST, "DROP TABLE people; DROP TYPE mood")
    migrations.write("0002_second", SECOND, "DROP INDEX people_mood")
    return migrations


def apply(written: Migrations) -> None:
    files = read_migrations(written.folder)
    plan = plan_migrate(read_status(written.database, files), files, to=None, phase=None)
    options = {"lock_timeout_s": 2.0, "statement_timeout_s": 60.0}
    migrate(written.database, plan, progress=written.progress, **options)


def run(database: Database, sql: str) -> None:
    with database.connect() as connection:
        connection.execute(sql.encode())


def drift(written: Migrations, live: Database | None = None, *ignore: str) -> Drift:
    files = read_migrations(written.folder)
    with scratch(written.database, "a test", written.progress) as made:
        live = live or written.database
        return find_drift(live, made, files, LIMITS, written.progress, ignore=ignore)


def plan(written: Migrations, to: str = "0002") -> BaselinePlan:
    files = read_migrations(written.folder)
    with scratch(written.database, "a test", written.progress) as made:
        return plan_baseline(written.database, made, files, to, LIMITS, written.progress)


def states(written: Migrations) -> list[State]:
    status = read_status(written.database, read_migrations(written.folder))
    return [entry.state for entry in status.entries]


@on_each_postgres
def test_what_was_changed_by_hand(written: Migrations) -> None:
    apply(written)
    assert drift(written).differences == ()
    run(written.database, "ALTER TYPE mood ADD VALUE 'z' BEFORE 'b'; DROP INDEX people_mood")
    run(written.database, "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    run(written.database, DRIZZLE)
    found = drift(written)
    assert [str(each.key) for each in found.differences] == [
        "function public.f()",
        "index public.people_mood on public.people",
        "type public.mood",
    ]
    signs = [{line[0] for line in each.lines} for each in found.differences]
    assert signs == [{"+"}, {"-"}, {"+", " "}]
    assert (found.head, found.migrations) == ("0002_second", 2)
    found = drift(written, None, "index *", "function public.f()")
    assert [str(each.key) for each in found.differences] == ["type public.mood"]
    assert len(found.ignored) == 2


@on_each_postgres
def test_a_database_that_drizzle_made_is_adopted(written: Migrations) -> None:
    run(written.database, FIRST + SECOND + ";" + DRIZZLE)
    todo = plan(written)
    assert todo.differences == ()
    assert "has 2 migrations, the last one of 2025-11-26" in str(todo.journal)
    assert baseline(written.database, todo, LIMITS) == ("0001_first", "0002_second")
    assert states(written) == [State.APPLIED, State.APPLIED]
    assert drift(written).differences == ()
    with written.database.connect() as connection:
        sums = connection.execute("SELECT count(checksum) FROM _stockctl_migrations").fetchone()
        marks = connection.execute("SELECT count(*) FROM _yoyo_migration").fetchone()
    assert sums == marks == (2,)
    with pytest.raises(Refused, match="2 migrations are recorded"):
        plan(written)


@on_one_postgres
def test_nothing_is_marked_where_it_differs(written: Migrations) -> None:
    run(written.database, FIRST)
    todo = plan(written)
    assert [str(each.key) for each in todo.differences] == [
        "index public.people_mood on public.people"
    ]
    with pytest.raises(Refused, match="1 object differs") as refused:
        baseline(written.database, todo, LIMITS)
    assert "-CREATE INDEX people_mood" in refused.value.details
    assert states(written) == [State.PENDING, State.PENDING]
    baseline(written.database, plan(written, "0001"), LIMITS)
    assert states(written) == [State.APPLIED, State.PENDING]
    apply(written)
    assert drift(written).differences == ()


@on_one_postgres
def test_a_schema_that_changes_meanwhile_is_not_marked(
    written: Migrations, clock: FakeClock
) -> None:
    run(written.database, FIRST + SECOND)
    todo = plan(written)
    run(written.database, "ALTER TABLE people ADD late int")
    with pytest.raises(Refused, match="has changed since"):
        baseline(written.database, todo, LIMITS)
    assert states(written) == [State.PENDING, State.PENDING]
    with open_session(written.database, LIMITS, clock, 0), pytest.raises(Locked):
        baseline(written.database, todo, LIMITS, lock_wait_s=0)


@on_one_postgres
def test_drift_is_measured_by_what_was_applied_not_by_the_files(written: Migrations) -> None:
    apply(written)
    (written.folder / "0001_first.sql").write_text("CREATE TABLE other ()")
    for name in ("0002_second.sql", "0002_second.rollback.sql"):
        (written.folder / name).unlink()
    assert drift(written).differences == ()
    run(written.database, "UPDATE _stockctl_migrations SET state = 'applying'")
    with pytest.raises(Refused, match="dirty"):
        drift(written)


@on_one_postgres
def test_a_role_that_may_only_connect_sees_drift(written: Migrations) -> None:
    apply(written)
    role = f"reader_{written.database.dsn.database}"
    run(written.database, "DROP INDEX people_mood; ALTER TABLE people ADD z int")
    run(written.database, f"CREATE ROLE {role} LOGIN; GRANT SELECT ON _stockctl_migrations,"
        f" _yoyo_migration TO {role}")  # fmt: skip
    try:
        reader = replace(written.database, dsn=replace(written.database.dsn, user=role))
        found = drift(written, reader)
        assert [str(each.key) for each in found.differences] == [
            "index public.people_mood on public.people",
            "table public.people",
        ]
        refusal = pytest.raises(Refused, match="may not create one")
        with refusal as refused, scratch(reader, "a test", written.progress) as made:
            made.create()
        assert "CREATEDB" in refused.value.hint
    finally:
        run(written.database, f"DROP OWNED BY {role}; DROP ROLE {role}")


@on_one_postgres
def test_the_owner_is_whoever_migrates(written: Migrations) -> None:
    """Run by another role, the same migrations give the same schema."""
    role = f"owner_{written.database.dsn.database}"
    name = written.database.dsn.database
    run(written.database, f"CREATE ROLE {role} LOGIN; ALTER DATABASE {name} OWNER TO {role}")
    try:
        own = replace(written.database, dsn=replace(written.database.dsn, user=role))
        apply(Migrations(written.folder, own, written.progress))
        assert drift(written).differences == ()
        run(written.database, "ALTER TABLE people OWNER TO CURRENT_USER")
        [found] = drift(written).differences
        assert "-OWNER TO CURRENT_ROLE" in found.lines
    finally:
        run(written.database, f"ALTER DATABASE {name} OWNER TO CURRENT_USER")
        run(written.database, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


@on_one_postgres
def test_as_a_person_runs_them(written: Migrations, tmp_path: Path) -> None:
    run(written.database, FIRST + SECOND)
    (tmp_path / "environments").mkdir()
    toml = f'protected = true\n[database]\nurl = "{written.database.dsn.url().reveal()}"\n'
    toml += 'migrations = "../migrations"\n'
    (tmp_path / "environments" / "one.toml").write_text(toml)

    def stockctl(*arguments: str) -> tuple[int, dict[str, object]]:
        argv = [STOCKCTL, "--root", tmp_path, "db", *arguments, "--json"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT_S)
        return done.returncode, json.loads(done.stdout)

    code, said = stockctl("baseline", "--to", "0002", "--plan", "--yes")
    assert (code, said["data"]) == (0, {"planned": ["0001_first", "0002_second"], "marked": []})
    code, said = stockctl("baseline", "--to", "0002", "--confirm", "one")
    assert (code, states(written)) == (0, [State.APPLIED, State.APPLIED])
    run(written.database, "COMMENT ON TABLE people IS 'whom'")
    code, said = stockctl("drift", "--exit-code")
    assert code == 10
    assert "whom" in json.dumps(said["data"])
    journal = (tmp_path / ".stockctl" / "one" / "journal.jsonl").read_text()
    assert journal.count("db baseline") == 2
    with written.database.connect() as connection:
        left = connection.execute(ABANDONED, (f"{PREFIX}%",)).fetchall()
    assert left == []
