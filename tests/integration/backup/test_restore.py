"""Restores: by nobody who could do harm, in several jobs, into nothing, refused in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.servers import scratch

from stockctl.backup.globals import read_roles
from stockctl.backup.restorer import choose_restorer, sweep_restorers
from stockctl.backup.swap import maintenance
from stockctl.core.errors import Refused, ToolFailed
from stockctl.core.progress import Event, Message, Transferred
from stockctl.system.embedded import serve
from stockctl.system.postgres import Database

EVIL = """
CREATE FUNCTION evil(int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('role', 'none', false);
  EXECUTE format('ALTER ROLE %I SUPERUSER', '{role}');
  RETURN true;
EXCEPTION WHEN insufficient_privilege THEN RETURN true;
END $$;
CREATE TABLE trap (id int CHECK (evil(id)));
"""


@pytest.fixture
def nobody(bench: Any) -> Iterator[str]:
    """A role without powers, that owns the database and wants more."""
    name = f"{bench.database.dsn.database}_nobody"
    bench.run(f"CREATE ROLE {name} LOGIN")
    bench.run(f"ALTER DATABASE {bench.database.dsn.database} OWNER TO {name}")
    yield name
    server = replace(bench, database=bench.database.to("postgres"))
    for database in bench.databases():
        server.run(f'ALTER DATABASE "{database}" OWNER TO CURRENT_USER')
        inside = replace(bench, database=bench.database.to(database))
        inside.run(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name} CASCADE")
    server.run(f"DROP ROLE {name}")


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def superuser(bench: Any, role: str) -> bool:
    return bool(bench.run("SELECT rolsuper FROM pg_roles WHERE rolname = %s", role)[0][0])


def restorers(bench: Any) -> list[Any]:
    """Roles that were made for restores of this database and are still there."""
    mark = f"%{bench.database.dsn.database}"
    query = "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') LIKE %s"
    found: list[Any] = bench.run(query, mark)
    return found


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_dump_that_runs_code_does_not_become_superuser(
    bench: Any, nobody: str, jobs: int
) -> None:
    dsn = replace(bench.database.dsn, user=nobody)
    weak = replace(bench, database=replace(bench.database, dsn=dsn))
    weak.run(EVIL.replace("{role}", nobody))
    weak.run("INSERT INTO trap VALUES (1)")
    assert not superuser(bench, nobody)
    bench.create()
    bench.restore(jobs=jobs)
    assert not superuser(bench, nobody)
    assert bench.run("SELECT count(*) FROM trap") == [(1,)]
    assert bench.run("SELECT tableowner FROM pg_tables WHERE tablename = 'trap'") == [(nobody,)]
    assert restorers(bench) == []


def test_who_trusts_the_dump_gets_what_is_in_it(bench: Any, nobody: str) -> None:
    """The same restore as the owner's role from a superuser's session: the trap works. That it
    does is why it is not done."""
    dsn = replace(bench.database.dsn, user=nobody)
    weak = replace(bench, database=replace(bench.database, dsn=dsn))
    weak.run(EVIL.replace("{role}", nobody))
    weak.run("INSERT INTO trap VALUES (1)")
    bench.create()
    bench.restore(trusted=True)
    assert superuser(bench, nobody)


def test_what_only_a_superuser_can_make_is_refused_before_anything_starts(bench: Any) -> None:
    bench.run(
        "CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION noted()"
    )
    bench.create()
    with pytest.raises(Refused) as caught:
        bench.restore()
    assert caught.value.details == "event trigger seen"
    assert bench.databases() == {bench.database.dsn.database: True}
    bench.restore(trusted=True)
    assert bench.run("SELECT evtname FROM pg_event_trigger") == [("seen",)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_extensions_come_back_in_their_schemas(bench: Any, jobs: int) -> None:
    bench.run("CREATE SCHEMA ext; CREATE EXTENSION vector SCHEMA ext")
    bench.run("COMMENT ON EXTENSION vector IS 'mine'; CREATE TABLE v (at ext.vector(2))")
    bench.run("INSERT INTO v VALUES ('[1,2]'); CREATE INDEX ON v USING hnsw (at ext.vector_l2_ops)")
    bench.fill(50)
    backup = bench.create()
    assert [(name, schema) for name, _version, schema in backup.extensions] == [("vector", "ext")]
    before = bench.run("SELECT extname, extnamespace::regnamespace::text FROM pg_extension")
    bench.restore(jobs=jobs)
    after = bench.run("SELECT extname, extnamespace::regnamespace::text FROM pg_extension")
    assert sorted(after) == sorted(before)
    assert bench.items() == 50


def test_the_decoded_dump_has_no_name_and_nobody_else_can_read_it(sealed: Any) -> None:
    sealed.fill(2000)
    sealed.create()
    seen: list[tuple[int, list[str]]] = []

    def look(event: Event) -> None:
        if isinstance(event, Transferred) and event.name == "restore":
            for entry in Path("/proc/self/fd").iterdir():
                link = str(entry.readlink()) if entry.is_symlink() else ""
                if link.startswith(str(sealed.directory)) and link.endswith("(deleted)"):
                    seen.append((entry.stat().st_mode & 0o777, names(sealed.directory)))

    sealed.on(look).restore(jobs=2)
    assert seen[0] == (0o600, ["backup.lock"])
    assert names(sealed.directory) == ["backup.lock"]
    assert sealed.items() == 2000


def test_where_the_decoded_dump_has_no_room_it_is_one_stream(bench: Any) -> None:
    bench.fill(10)
    backup = bench.create()
    huge = replace(backup, dump_bytes=1 << 60)
    bench.store.put(huge.manifest, huge.to_json())
    plan = bench.plan(streamed=False)
    assert plan.way.folder is None
    assert "too little" in plan.way.why
    bench.carry_out(plan)
    assert bench.items() == 10


def test_a_backup_of_the_first_format_is_restored(bench: Any) -> None:
    bench.fill(10)
    backup = bench.create()
    old = replace(backup, format=1, dump_bytes=0, extensions=(), globals=None)
    bench.store.put(old.manifest, old.to_json())
    assert bench.catalogue().backups == (old,)
    assert b"globals" not in old.to_json()
    bench.run("DELETE FROM item")
    bench.restore()
    assert bench.items() == 10


@pytest.fixture(scope="module")
def empty() -> Iterator[Database]:
    """Another server, on which nothing of ours is yet."""
    with (
        scratch("other") as folder,
        serve(folder / "pg") as database,
    ):
        yield database


def test_into_an_empty_server(bench: Any, nobody: str, empty: Database) -> None:
    name, app = bench.database.dsn.database, f"{nobody}_app"
    bench.run(f"CREATE ROLE {app} LOGIN CONNECTION LIMIT 3; GRANT {nobody} TO {app}")
    bench.run(f"ALTER ROLE {app} SET search_path TO \"$user\", 'a b'")
    for statement in (
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO {app}",
        f"ALTER DATABASE {name} SET statement_timeout = '15s'",
        f"COMMENT ON DATABASE {name} IS 'the one'",
    ):
        bench.run(statement)
    bench.fill(100)
    try:
        backup = bench.create()
        roles = {role.name for role in backup.globals.roles}
        assert {nobody, app} <= roles
        assert b"SCRAM" not in backup.to_json()
        there = replace(bench, database=empty.to(name), directory=bench.directory / "there")
        plan = there.plan()
        assert plan.previous_database is None
        assert {role.name for role in plan.roles} >= {nobody, app}
        done = there.restore()
        assert (done.previous_database, done.outage_s) == (None, 0.0)
        assert there.items() == 100
        assert there.databases() == {name: True}
        with there.database.connect() as connection:
            again = {r.name: r for r in read_roles(connection)}
        expected = {r.name: r for r in backup.globals.roles}
        assert again[app] == expected[app]
        assert there.run("SELECT current_setting('statement_timeout')") != []
        bench.run("DROP TABLE item")
        assert there.restore().previous_database is not None
    finally:
        bench.run(f"DROP OWNED BY {app}; DROP ROLE {app}")


def test_interrupted_while_an_empty_server_was_filled(bench: Any, empty: Database) -> None:
    bench.fill(10)
    bench.create()
    there = replace(bench, database=empty.to(bench.database.dsn.database))

    def stop(event: Event) -> None:
        if isinstance(event, Transferred) and event.name == "restore":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        there.on(stop).restore()
    assert there.databases() == {}
    there.restore()
    assert there.items() == 10


def test_powers_are_not_given_back(bench: Any, empty: Database) -> None:
    name = f"{bench.database.dsn.database}_root"
    bench.run(f"CREATE ROLE {name} SUPERUSER REPLICATION; CREATE TABLE t (id int)")
    bench.run(f"ALTER TABLE t OWNER TO {name}")
    try:
        backup = bench.create()
        (role,) = [r for r in backup.globals.roles if r.name == name]
        assert role.powers == ("superuser", "replication")
        there = replace(bench, database=empty.to(bench.database.dsn.database))
        there.restore()
        assert not superuser(there, name)
    finally:
        bench.run(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP ROLE {name}")


def test_a_backup_without_rows_is_warned_of_where_there_are_some(bench: Any) -> None:
    """Records of migrations are no rows, neither in the backup nor in what is live."""
    said = "the backup holds no rows, and the database does"
    bench.run("CREATE TABLE _yoyo_log AS SELECT 1 AS id")
    bench.create()
    assert said not in bench.plan().warnings
    bench.fill(1)
    assert said in bench.plan().warnings


def test_refused_before_anything_starts(bench: Any) -> None:
    bench.fill(1)
    backup = bench.create()
    cases = [
        (replace(backup, server_version="99.1"), "is of PostgreSQL 99", "or a newer one"),
        (
            replace(backup, extensions=(("absent", "1", "public"),)),
            f"this server has no extension absent, which backup {backup.id} needs",
            "Install its package on the server",
        ),
        (replace(backup, database_bytes=1 << 60), "too little disk", "Make room"),
    ]
    for changed, why, way_out in cases:
        bench.store.put(changed.manifest, changed.to_json())
        with pytest.raises(Refused, match=why) as refused:
            bench.restore()
        assert way_out in refused.value.hint
    gone = replace(bench, database=bench.database.to(f"{bench.database.dsn.database}_gone"))
    needy = replace(backup.globals, roles=())
    lacking = replace(needy, database=replace(needy.database, owner="nobody-here"))
    for globals_, why, way_out in (
        (lacking, "no role nobody-here, which the database needs", "CREATE ROLE … first"),
        (None, "does not hold what it was like", "Create it empty"),
    ):
        changed = replace(backup, globals=globals_)
        bench.store.put(changed.manifest, changed.to_json())
        with pytest.raises(Refused, match=why) as refused:
            gone.restore()
        assert way_out in refused.value.hint
    assert restorers(bench) == []
    assert bench.databases() == {bench.database.dsn.database: True}
    assert bench.items() == 1


def test_a_killed_restore_leaves_no_role(bench: Any) -> None:
    bench.fill(10)
    bench.create()

    def stop(event: Event) -> None:
        if isinstance(event, Transferred) and event.name == "restore":
            assert len(restorers(bench)) == 1
            raise ToolFailed("stopped")

    with pytest.raises(ToolFailed):
        bench.on(stop).restore()
    assert restorers(bench) == []
    with maintenance(bench.database) as connection:
        sweep_restorers(connection, bench.database.dsn.database)


def test_a_copy_that_never_got_its_mark_goes_with_its_role(bench: Any) -> None:
    """Killed between CREATE DATABASE and the comment: nobody but that role owns it."""
    bench.fill(10)
    bench.create()
    with maintenance(bench.database) as connection:
        owner = bench.run("SELECT current_user")[0][0]
        made = choose_restorer(connection, bench.database, owner, trusted=False)
        name = f"{bench.database.dsn.database}_restore_20200101t000000z"
        connection.execute(f"CREATE DATABASE {name} OWNER {made.name}".encode())
    said: list[Event] = []
    bench.on(said.append).create()
    assert bench.databases() == {bench.database.dsn.database: True}
    assert restorers(bench) == []
    assert any(isinstance(e, Message) and f"dropped {name}" in e.text for e in said)
