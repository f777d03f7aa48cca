"""Scratch databases: gone however it ends, and never somebody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.children import untraced
from tests.servers import on_one_postgres
from tests.terminal import LIMIT_S, STOCKCTL

from stockctl.core.errors import MigrationFailed
from stockctl.core.progress import Progress
from stockctl.db.proof.trial import Script, Trial
from stockctl.db.scratch import PREFIX, scratch
from stockctl.db.session import Limits
from stockctl.system.postgres import Database

pytestmark = on_one_postgres

CATALOGS = ("pg_class", "pg_attribute", "pg_proc", "pg_depend", "pg_description", "pg_namespace")


def slow(database: Database) -> str:
    """A script that takes a minute; tests of other workers run theirs on the same server."""
    return f"SELECT pg_sleep(60), '{database.dsn.database}'"


def scratches(database: Database) -> set[str]:
    with database.connect() as connection:
        found = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{PREFIX}%",)
        )
        return {name for (name,) in found.fetchall()}


@pytest.fixture
def root(tmp_path: Path, database: Database) -> Path:
    """A project whose only migration takes a minute."""
    (tmp_path / "environments").mkdir()
    (tmp_path / "migrations").mkdir()
    url = database.dsn.url().reveal()
    toml = f'[database]\nurl = "{url}"\nmigrations = "../migrations"\n'
    (tmp_path / "environments" / "one.toml").write_text(toml)
    (tmp_path / "migrations" / "0001_a.sql").write_text(slow(database))
    (tmp_path / "migrations" / "0001_a.rollback.sql").write_text("SELECT 1")
    return tmp_path


def start(root: Path, *options: str) -> subprocess.Popen[str]:
    argv = [STOCKCTL, "--root", root, "db", "prove", "one", *options]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=untraced()
    )


def wait_for_sleeper(database: Database, known: set[str]) -> str:
    """The scratch database in which a script sleeps now."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        with database.connect() as connection:
            found = connection.execute(
                "SELECT datname FROM pg_stat_activity WHERE query = %s AND state = 'active'"
                " AND datname <> ALL (%s)",
                (slow(database), list(known)),
            ).fetchone()
        if found:
            return str(found[0])
        time.sleep(0.05)
    raise AssertionError("no script ran")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_nothing(
    root: Path, database: Database, number: signal.Signals, code: int
) -> None:
    with start(root) as run:
        name = wait_for_sleeper(database, set())
        run.send_signal(number)
        run.communicate(timeout=LIMIT_S)
    assert run.returncode == code
    assert name not in scratches(database)


def test_what_a_kill_leaves_the_next_run_drops_and_nothing_that_is_in_use(
    root: Path, database: Database, progress: Progress
) -> None:
    unmarked = f"{PREFIX}{os.getpid()}"
    with database.connect() as connection:
        connection.execute(f"CREATE DATABASE {unmarked}")
    try:
        with start(root) as killed, start(root) as at_work:
            first = wait_for_sleeper(database, set())
            second = wait_for_sleeper(database, {first})
            killed.kill()
            killed.communicate(timeout=LIMIT_S)
            deadline = time.monotonic() + LIMIT_S
            while {first, second} <= scratches(database) and time.monotonic() < deadline:
                with scratch(database, "a test", progress) as made:
                    own = made.create().dsn.database
                    assert own in scratches(database)
                assert own not in scratches(database)
            left = scratches(database)
            assert len({first, second} & left) == 1  # the server ends the other's session
            assert unmarked in left
            at_work.send_signal(signal.SIGTERM)
            at_work.communicate(timeout=LIMIT_S)
        assert {first, second} & scratches(database) == set()
    finally:
        with database.connect() as connection:
            connection.execute(f"DROP DATABASE {unmarked}")


def test_an_error_leaves_nothing(database: Database, progress: Progress) -> None:
    with pytest.raises(MigrationFailed), scratch(database, "a test", progress) as made:
        name = made.create().dsn.database
        copy = made.create(name).dsn.database
        raise MigrationFailed("x")
    assert not {name, copy} & scratches(database)


def test_a_scratch_database_is_like_the_live_one_and_closed_to_others(
    database: Database, progress: Progress
) -> None:
    name = database.dsn.database
    with database.connect() as connection:
        connection.execute(f"ALTER DATABASE {name} SET search_path TO 'a b', public")
    with scratch(database, "a test", progress) as made:
        trial = made.create()
        with trial.connect() as connection:
            assert connection.execute("SHOW search_path").fetchone() == ('"a b", public',)
            query = """SELECT datacl::text, shobj_description(oid, 'pg_database')
                         FROM pg_database WHERE datname = current_database()"""
            acl, comment = connection.execute(query).fetchone() or ("", "")
    assert "{=" not in acl and ",=" not in acl
    assert json.loads(comment)["stockctl"] == "scratch"


def test_the_live_database_is_not_touched(root: Path, database: Database) -> None:
    """No table is made in it, also no ledger."""
    (root / "migrations" / "0001_a.sql").write_text("CREATE TABLE a (b int)")
    (root / "migrations" / "0001_a.rollback.sql").write_text("DROP TABLE a")
    rows = (f"SELECT count(*), sum(xmin::text::bigint) FROM {each}" for each in CATALOGS)
    query = " UNION ALL ".join(rows)
    with database.connect() as connection:
        before = connection.execute(query.encode()).fetchall()
    with start(root, "--pending", "--json") as run:
        said, _ = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0
    assert [each["outcome"] for each in json.loads(said)["data"]["migrations"]] == ["proved"]
    with database.connect() as connection:
        assert connection.execute(query.encode()).fetchall() == before


def test_rows_are_read_again_only_where_a_script_may_have_changed_them(database: Database) -> None:
    with database.connect() as connection:
        for name in ("indexed", "updated", "altered"):
            connection.execute(f"CREATE TABLE {name} (id int)")
        found = connection.execute("SELECT relname, oid::bigint FROM pg_class").fetchall()
    oids = dict(found)
    trial = Trial(database, Limits(2.0, 60.0), shared=True)
    try:
        text = "CREATE INDEX ON indexed (id); UPDATE updated SET id = 1; DROP TABLE altered"
        run = trial.run(Script("0001", "0001.sql", text, True))
    finally:
        trial.close()
    assert run.touched is not None
    assert run.written is not None
    assert run.touched >= {oids["indexed"], oids["updated"], oids["altered"]}
    assert run.written & set(oids.values()) == {oids["updated"], oids["altered"]}
