"""Migrate, status, roll back: against a real PostgreSQL, compared with yoyo's own command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers import on_each_postgres

from stockctl.core.errors import ConfigurationError, MigrationFailed, Refused
from stockctl.core.progress import Progress
from stockctl.db.ledger import State, read_status
from stockctl.db.migration import read_migrations
from stockctl.db.runner import Applied, Reverted, migrate, plan_migrate, plan_rollback, rollback
from stockctl.system.postgres import Database

REAL = Path(__file__).parents[3] / "migrations"


class Project:
    """A folder of migrations and a database, as a person works with them."""

    def __init__(self, folder: Path, database: Database, progress: Progress) -> None:
        self.folder, self.database, self.progress = folder, database, progress

    def write(self, name: str, up: str, down: str | None = "SELECT 1;") -> None:
        (self.folder / f"{name}.sql").write_text(up)
        if down is not None:
            (self.folder / f"{name}.rollback.sql").write_text(down)

    def states(self) -> dict[str, State]:
        status = read_status(self.database, read_migrations(self.folder))
        return {entry.id: entry.state for entry in status.entries}

    def migrate(self, to: str | None = None, lock_timeout_s: float = 2) -> tuple[Applied, ...]:
        migrations = read_migrations(self.folder)
        status = read_status(self.database, migrations)
        plan = plan_migrate(status, migrations, to=to, phase=None)
        return migrate(
            self.database,
            plan,
            progress=self.progress,
            lock_timeout_s=lock_timeout_s,
            statement_timeout_s=60,
            lock_wait_s=20,
        )

    def rollback(
        self, steps: int | None = None, to: str | None = None, allow_data_loss: bool = False
    ) -> tuple[Reverted, ...]:
        migrations = read_migrations(self.folder)
        status = read_status(self.database, migrations)
        return rollback(
            self.database,
            plan_rollback(status, migrations, steps=steps, to=to),
            progress=self.progress,
            allow_data_loss=allow_data_loss,
            lock_timeout_s=2,
            statement_timeout_s=60,
            lock_wait_s=20,
        )

    def query(self, text: str) -> list[tuple[object, ...]]:
        with self.database.connect() as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def tables(self) -> set[object]:
        found = self.query(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'public' AND relname !~ 'yoyo|stockctl'"
        )
        return {row[0] for row in found}

    def yoyo_list(self) -> dict[str, str]:
        """What yoyo's own command says: A (applied) or U."""
        dsn = self.database.dsn
        url = f"postgresql+psycopg://{dsn.user}@/{dsn.database}?host={dsn.host}&port={dsn.port}"
        yoyo = Path(sys.executable).with_name("yoyo")
        done = subprocess.run(
            [yoyo, "list", "--no-config-file", "--batch", "-d", url, self.folder],
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [line.split() for line in done.stdout.splitlines()]
        return {row[1]: row[0] for row in rows if len(row) > 1 and row[0] in ("A", "U")}


@pytest.fixture
def project(tmp_path: Path, database: Database, progress: Progress) -> Project:
    folder = tmp_path / "migrations"
    folder.mkdir()
    return Project(folder, database, progress)


@on_each_postgres
def test_there_and_back(project: Project) -> None:
    project.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE a;")
    project.write("0002_b", "CREATE TABLE b (id int);", "DROP TABLE b;")
    assert [each.id for each in project.migrate(to="0001")] == ["0001_a"]
    assert project.states() == {"0001_a": State.APPLIED, "0002_b": State.PENDING}
    assert project.yoyo_list() == {"0001_a": "A", "0002_b": "U"}
    assert [each.id for each in project.migrate()] == ["0002_b"]
    assert project.yoyo_list() == {"0001_a": "A", "0002_b": "A"}
    assert project.migrate() == ()
    assert [each.id for each in project.rollback(steps=2)] == ["0002_b", "0001_a"]
    assert project.tables() == set()
    assert project.yoyo_list() == {"0001_a": "U", "0002_b": "U"}
    assert project.rollback() == ()


def test_the_entry_says_who_and_when(project: Project) -> None:
    project.write("0001_a", "CREATE TABLE a ();", "DROP TABLE a;")
    project.migrate()
    status = read_status(project.database, read_migrations(project.folder))
    assert status.head == "0001_a"
    [entry] = status.entries
    assert entry.applied_by and "@" in entry.applied_by
    [[now]] = project.query("SELECT now()")
    assert entry.applied_at and abs((entry.applied_at - now).total_seconds()) < 60


@on_each_postgres
def test_status_creates_nothing(project: Project) -> None:
    project.write("0001_a", "CREATE TABLE a ();", "DROP TABLE a;")
    before = project.query("SELECT oid, relname FROM pg_class ORDER BY 1")
    assert project.states() == {"0001_a": State.PENDING}
    assert project.query("SELECT oid, relname FROM pg_class ORDER BY 1") == before


@on_each_postgres
def test_a_failing_second_statement_leaves_nothing(project: Project) -> None:
    project.write("0001_ok", "CREATE TABLE ok ();", "DROP TABLE ok;")
    project.write("0002_bad", "CREATE TABLE t (id int);\nINSERT INTO t VALUES (1), (1/0);")
    with pytest.raises(MigrationFailed, match="division by zero") as caught:
        project.migrate()
    assert project.tables() == {"ok"}
    assert project.states() == {"0001_ok": State.APPLIED, "0002_bad": State.PENDING}
    assert caught.value.hint.startswith("1 before it is applied.")
    assert caught.value.where and caught.value.where.line == 2


@on_each_postgres
def test_the_error_has_file_line_and_column(project: Project) -> None:
    text = "-- phase: expand\nCREATE TABLE ä (id int);\n\nSELECT 'ü',\n  nothing FROM ä;\n"
    project.write("0001_bad", text)
    with pytest.raises(MigrationFailed) as caught:
        project.migrate()
    where = caught.value.where
    assert where is not None
    assert (where.file, where.line, where.column) == (str(project.folder / "0001_bad.sql"), 5, 3)
    assert caught.value.details.endswith("5:   nothing FROM ä;\n     ^")


@on_each_postgres
def test_a_deferred_constraint_is_blamed_on_its_file(project: Project) -> None:
    project.write(
        "0001_bad",
        "CREATE TABLE a (id int PRIMARY KEY);"
        "CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO b VALUES (1);",
    )
    with pytest.raises(MigrationFailed, match=r"0001_bad\.sql: .*foreign key"):
        project.migrate()
    assert project.tables() == set()


@on_each_postgres
def test_hostile_contents_arrive_as_written(project: Project) -> None:
    rows = "".join(f"INSERT INTO t VALUES ({n}, 'it''s; %s');\n" for n in range(16_000))
    project.write(
        "0001_hostile",
        "/* a /* nested; */ COMMIT; */\n"
        'CREATE TABLE t (begin int, "declare; --" text);\n'
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $x$ BEGIN\n"
        "  -- it's $$ in here; COMMIT\n RETURN (SELECT count(*) FROM t); END; $x$;\n"
        "CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\n" + rows,
        "DROP FUNCTION g(); DROP FUNCTION f(); DROP TABLE t;",
    )
    project.migrate()
    assert project.query("SELECT f(), g()") == [(16_000, 2)]
    project.rollback(allow_data_loss=True)
    assert project.tables() == set()


@on_each_postgres
def test_settings_of_one_file_do_not_reach_the_next(project: Project) -> None:
    """Each pg_dump begins with an empty search_path; yoyo's tables are found all the same."""
    project.write(
        "0001_dump",
        "SELECT pg_catalog.set_config('search_path', '', false); SET lock_timeout = 1;"
        "CREATE TEMP TABLE x (); CREATE ROLE stockctl_nobody; SET ROLE stockctl_nobody;",
        "DROP ROLE stockctl_nobody;",
    )
    project.write("0002_next", "CREATE TABLE t (); CREATE TEMP TABLE x ();", "DROP TABLE t;")
    assert len(project.migrate()) == 2
    assert project.tables() == {"t"}
    assert project.query("SELECT tableowner FROM pg_tables WHERE tablename = 't'") == [
        (project.database.dsn.user,)
    ]
    project.rollback(steps=2)


@on_each_postgres
def test_a_schema_of_the_users_name_does_not_hide_the_ledger(project: Project) -> None:
    project.write("0001_schema", 'CREATE SCHEMA "postgres";', 'DROP SCHEMA "postgres";')
    project.migrate()
    project.write("0002_t", "SELECT 1;")
    assert [each.id for each in project.migrate()] == ["0002_t"]


def test_what_plain_yoyo_applied_counts(project: Project) -> None:
    project.write("0001_a", "CREATE TABLE a ();", "DROP TABLE a;")
    project.migrate()
    project.query("DROP TABLE _stockctl_migrations")
    [entry] = read_status(project.database, read_migrations(project.folder)).entries
    assert entry.state is State.APPLIED
    assert entry.advice.startswith("applied without checksum, by plain yoyo")
    project.rollback()
    assert project.tables() == set()


def test_an_edited_file_stops_everything(project: Project) -> None:
    project.write("0001_a", "CREATE TABLE a ();", "DROP TABLE a;")
    project.migrate()
    project.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE a;")
    project.write("0002_b", "SELECT 1;")
    with pytest.raises(Refused) as caught:
        project.migrate()
    assert "0001_a: changed: restore the file" in caught.value.details


def test_the_down_script_that_was_kept_works_when_the_file_is_gone(project: Project) -> None:
    project.write("0001_a", "CREATE TABLE a ();", "DROP TABLE a;")
    project.migrate()
    for path in project.folder.iterdir():
        path.unlink()
    assert project.states() == {"0001_a": State.MISSING}
    project.rollback()
    assert project.tables() == set()
    assert project.states() == {}


def test_without_a_down_script_nothing_is_unmarked(project: Project) -> None:
    project.write("0001_a", "-- irreversible: it empties the archive\nCREATE TABLE a ();", None)
    project.migrate()
    with pytest.raises(Refused, match="it empties the archive"):
        project.rollback()
    assert project.states() == {"0001_a": State.APPLIED}
    project.write("0002_b", "SELECT 1;", None)
    with pytest.raises(ConfigurationError):
        project.migrate()


@on_each_postgres
def test_a_table_with_rows_is_not_dropped(project: Project) -> None:
    project.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE a;")
    project.write("0002_b", "CREATE TABLE b (id int);", "DROP TABLE b;")
    project.migrate()
    project.query("INSERT INTO a VALUES (1), (2)")
    with pytest.raises(Refused) as caught:
        project.rollback(steps=2)
    assert caught.value.details == "table public.a: 2 rows"
    assert set(project.states().values()) == {State.APPLIED}
    assert project.tables() == {"a", "b"}
    assert len(project.rollback(steps=2, allow_data_loss=True)) == 2
    assert project.tables() == set()


@on_each_postgres
def test_a_column_with_values_is_not_dropped(project: Project) -> None:
    project.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE a;")
    for number, column in ((2, "empty"), (3, '"Full"')):
        up, down = (f"ALTER TABLE a {verb} COLUMN {column}" for verb in ("ADD", "DROP"))
        project.write(f"000{number}_column", f"{up} int;", f"{down};")
    project.migrate()
    project.query('INSERT INTO a (id, "Full") VALUES (1, 2)')
    with pytest.raises(Refused) as caught:
        project.rollback(to="0001")
    assert caught.value.details == "column public.a.Full: 1 row"
    project.query('UPDATE a SET "Full" = NULL')
    assert len(project.rollback(to="0001_a")) == 2
    assert project.query("SELECT * FROM a") == [(1,)]


def test_a_failing_down_script_is_found_before_anything_is_rolled_back(project: Project) -> None:
    project.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE b;")
    project.write("0002_b", "CREATE TABLE c (id int);", "DROP TABLE c;")
    project.migrate()
    with pytest.raises(MigrationFailed, match="0001_a failed"):
        project.rollback(steps=2)
    assert project.tables() == {"a", "c"}


def test_copy_from_stdin_is_refused_with_its_line(project: Project) -> None:
    project.write("0001_copy", "CREATE TABLE t (id int);\nCOPY t FROM stdin;\n")
    with pytest.raises(MigrationFailed, match="COPY") as caught:
        project.migrate()
    assert caught.value.where and caught.value.where.line == 2
    assert project.tables() == set()


@on_each_postgres
def test_the_real_migrations_there_and_back(project: Project) -> None:
    project.folder = REAL
    count = len(list(REAL.glob("*.rollback.sql")))
    before = project.query("SELECT oid FROM pg_class WHERE relname !~ 'yoyo|stockctl' ORDER BY 1")
    assert len(project.migrate()) == count
    assert set(project.yoyo_list().values()) == {"A"}
    assert len(project.rollback(steps=count)) == count
    after = project.query(
        "SELECT oid FROM pg_class WHERE relname !~ 'yoyo|stockctl' AND relnamespace <>"
        " 'pg_toast'::regnamespace ORDER BY 1"
    )
    assert set(after) <= set(before)
    assert len(project.migrate()) == count
