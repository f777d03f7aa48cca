"""What a database may hold besides tables: all of it comes back, or the plan says that it does not.

Compared is what pg_dump says of the schema, owners and privileges included.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.integration.backup.conftest import Bench
from tests.integration.backup.test_privileges import Cast, back, warned
from tests.servers import a_server, on_each_postgres, on_one_postgres, scratch

from stockctl.backup.stores.directory import DirectoryStore
from stockctl.core.errors import Refused
from stockctl.core.progress import Event
from stockctl.system.postgres import Database

CANARY = "canary-of-a-mapping"
SCENE = """
CREATE TABLE item AS SELECT n AS id, 'x' AS body FROM generate_series(1, 20) n;
ALTER TABLE item OWNER TO {own}, ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY few ON item FOR SELECT TO {app} USING (id <= 5);
GRANT SELECT ON item TO {app};
CREATE TABLE part (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
  PARTITION BY HASH (id);
CREATE TABLE part_1a PARTITION OF part_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1b PARTITION OF part_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE part_rest PARTITION OF part DEFAULT;
ALTER TABLE part ADD UNIQUE (id, at); ALTER TABLE part OWNER TO {own};
ALTER TABLE part_1a OWNER TO {read}; GRANT SELECT ON part TO {app};
INSERT INTO part SELECT n, '2026-02-02' FROM generate_series(1, 10) n;
CREATE COLLATION plain FROM "C"; ALTER COLLATION plain OWNER TO {own};
CREATE TABLE word (t text COLLATE plain PRIMARY KEY); INSERT INTO word VALUES ('a');
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TABLE booked (r span, EXCLUDE USING gist (r WITH &&)); INSERT INTO booked VALUES ('[1,2)');
CREATE TYPE mood AS ENUM ('well');
CREATE CAST (varchar AS mood) WITH INOUT AS IMPLICIT;
CREATE FUNCTION as_mood(int) RETURNS mood LANGUAGE sql AS $$SELECT 'well'::public.mood$$;
CREATE CAST (int AS mood) WITH FUNCTION as_mood(int);
CREATE FUNCTION items() RETURNS bigint LANGUAGE sql SET search_path = public
  AS 'SELECT count(*) FROM word';
CREATE MATERIALIZED VIEW counted AS SELECT items(); ALTER MATERIALIZED VIEW counted OWNER TO {own};
GRANT SELECT ON counted TO {app};
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE INSERT ON word FOR EACH ROW EXECUTE FUNCTION touched();
ALTER TABLE word DISABLE TRIGGER touch;
SELECT lo_from_bytea(4711, 'abc'); ALTER LARGE OBJECT 4711 OWNER TO {own};
GRANT SELECT ON LARGE OBJECT 4711 TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {own} GRANT SELECT ON TABLES TO {app};
CREATE SCHEMA told AUTHORIZATION {own};
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish = 'insert, delete');
CREATE PUBLICATION "some ""day"" s" FOR TABLES IN SCHEMA told, public;
CREATE PUBLICATION one FOR TABLE item WHERE (id > 3);
ALTER PUBLICATION one OWNER TO {own};
COMMENT ON PUBLICATION everything IS 'of all'
"""
# Where the server was built with ICU.
ICU = """
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE loosely (t text COLLATE loose PRIMARY KEY); INSERT INTO loosely VALUES ('a')
"""
# Where the server has the contrib modules.
CONTRIB = """
CREATE SCHEMA x; CREATE EXTENSION hstore SCHEMA x; CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm; GRANT USAGE ON SCHEMA x TO {app};
CREATE TABLE ext (h x.hstore, c citext UNIQUE, t text); ALTER TABLE ext OWNER TO {own};
CREATE INDEX ON ext USING gin (t gin_trgm_ops); INSERT INTO ext VALUES ('a=>1', 'C', 'ttt');
GRANT SELECT ON ext TO {app};
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far', dbname 'x');
GRANT USAGE ON FOREIGN SERVER far TO {app};
CREATE USER MAPPING FOR {app} SERVER far OPTIONS (user 'u', password '{canary}');
CREATE FOREIGN TABLE there (id int) SERVER far; GRANT SELECT ON there TO {app}
""".replace("{canary}", CANARY)
EVENT_TRIGGER = """
CREATE TABLE item AS SELECT 1 AS id;
CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION seen()
"""
SUBSCRIPTION = f"""
CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port=1 dbname=x password={CANARY}'
PUBLICATION p WITH (connect = false)
"""


def schema(bench: Bench) -> str:
    """In words, without what pg_dump makes up anew each time, and without the last large one."""
    dsn, tools = bench.database.dsn, bench.database.tools.folder
    argv = [f"{tools}/pg_dump", "-s", "-h", dsn.host, "-U", dsn.user, dsn.database]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return re.sub(r"(?m)^\\(un)?restrict .*\n", "", done.stdout)


@pytest.fixture
def cast(bench: Bench) -> Iterator[Cast]:
    cast = Cast(bench)
    for role in cast.quoted().values():
        bench.run(f"CREATE ROLE {role} LOGIN")
    yield cast
    cast.forget(bench)


@on_each_postgres
def test_all_of_it_comes_back_and_goes_again(bench: Bench, cast: Cast) -> None:
    cast.play(SCENE)
    has = "SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'"
    if contrib := bool(bench.run(has)):
        cast.play(CONTRIB)
    if bench.run("SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu'"):
        cast.play(ICU)
    before = schema(bench)
    assert before.count("CREATE PUBLICATION") == 3
    backup = bench.create()
    assert CANARY not in backup.to_json().decode()
    said: list[Event] = []
    for options in ({"jobs": 1}, {"jobs": 2}):
        assert bench.plan(**options).warnings == ()
        bench.on(said.append).restore(**options)
        assert schema(bench) == before
    assert CANARY not in str(said)
    app = replace(bench.database.dsn, user=cast.names["app"])
    with psycopg.connect(**app.parameters()) as connection:
        rows_of = {"item": 5, "part": 10, "counted": 1} | ({"ext": 1} if contrib else {})
        for table, rows in rows_of.items():
            query = f"SELECT count(*) FROM {table}".encode()
            assert connection.execute(query).fetchone() == (rows,)
        assert connection.execute("SELECT lo_get(4711)").fetchone() == (b"abc",)
    bench.undo()
    assert schema(bench) == before


def test_an_event_trigger_is_said_by_the_plan(bench: Bench, cast: Cast) -> None:
    """Before anything starts; one table comes back all the same, since it is none of its."""
    cast.play(EVENT_TRIGGER)
    bench.create()
    with pytest.raises(Refused, match="only a superuser") as caught:
        bench.plan()
    assert caught.value.details == "event trigger watch"
    assert "--trust-dump" in caught.value.hint
    assert back(bench, "item").rows == 1


@on_each_postgres
def test_trusted_it_comes_back_where_the_owner_is_no_superuser(bench: Bench, cast: Cast) -> None:
    cast.play(EVENT_TRIGGER)
    bench.run(SUBSCRIPTION)
    name = bench.database.dsn.database
    own = cast.quoted()["own"]
    bench.run(f"ALTER DATABASE {name} OWNER TO {own}; ALTER TABLE item OWNER TO {own}")
    before = schema(bench)
    backup = bench.create()
    try:
        assert CANARY not in backup.to_json().decode()
        (planned,) = bench.plan(trusted=True).warnings
        assert "disabled" in planned
        assert "feed" in planned
        assert warned(bench, trusted=True) == [planned]
        assert schema(bench) == before
        ours = "SELECT count(*) FROM pg_roles WHERE shobj_description(oid, 'pg_authid') LIKE %s"
        assert bench.run(ours, f"%{name}") == [(0,)]
    finally:
        for each in bench.databases():
            inside = replace(bench, database=bench.database.to(each))
            inside.run("ALTER SUBSCRIPTION feed SET (slot_name = NONE)")
            inside.run("DROP SUBSCRIPTION feed")
            bench.run(f"ALTER DATABASE {each} OWNER TO CURRENT_USER")


WHAT_TAKES_A_SUPERUSER = {
    "function f(integer, integer)": "CREATE FUNCTION f(int, int) RETURNS int LANGUAGE internal"
    " AS 'int4pl'",
    "operator class mine": "CREATE OPERATOR CLASS mine FOR TYPE int USING btree AS OPERATOR 1 <,"
    " OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int)",
    "cast CAST (public.mine AS integer)": "CREATE TYPE mine; "
    "CREATE FUNCTION mine_in(cstring) RETURNS mine IMMUTABLE STRICT LANGUAGE internal AS 'int4in';"
    "CREATE FUNCTION mine_out(mine) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS"
    " 'int4out'; CREATE TYPE mine (input = mine_in, output = mine_out, like = int);"
    "CREATE CAST (mine AS int) WITHOUT FUNCTION",
    "text search template t": "CREATE TEXT SEARCH TEMPLATE t (lexize = dsimple_lexize)",
}


@pytest.mark.parametrize("what", WHAT_TAKES_A_SUPERUSER)
def test_what_only_a_superuser_makes_is_said_by_the_plan(bench: Bench, what: str) -> None:
    bench.run(WHAT_TAKES_A_SUPERUSER[what])
    before = schema(bench)
    bench.create()
    with pytest.raises(Refused) as caught:
        bench.plan()
    assert what in caught.value.details.splitlines()
    bench.restore(trusted=True)
    assert schema(bench) == before


def test_a_publication_of_everything_takes_a_superuser(bench: Bench, cast: Cast) -> None:
    name, own = bench.database.dsn.database, cast.quoted()["own"]
    cast.play("CREATE TABLE item (); CREATE PUBLICATION everything FOR ALL TABLES")
    bench.create()
    bench.run(f"ALTER ROLE {own} CREATEDB; ALTER DATABASE {name} OWNER TO {own}")
    dsn = replace(bench.database.dsn, user=cast.names["own"])
    weak = replace(bench, database=replace(bench.database, dsn=dsn))
    with pytest.raises(Refused) as caught:
        weak.plan()
    assert caught.value.details == "publication everything"


def test_the_database_of_another_name_is_said(bench: Bench, postgres: Database) -> None:
    bench.fill(1)
    bench.create()
    other = f"{bench.database.dsn.database}_other"
    bench.run(f"CREATE DATABASE {other}")
    there = replace(bench, database=postgres.to(other))
    (planned,) = there.plan().warnings
    assert bench.database.dsn.database in planned
    assert other in planned


# ------------------------------------------------------------------------- what the server has


@on_one_postgres
def test_tablespaces(bench: Bench, postgres: Database, tmp_path: Path) -> None:
    name = f"ts_{bench.database.dsn.database}"
    with scratch("space") as folder:
        owner = Path(postgres.dsn.host).stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        server = replace(bench, database=postgres)
        server.run(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
        bench.run(f"CREATE TABLE item TABLESPACE {name} AS SELECT 1 AS id")
        before = schema(bench)
        bench.create()
        assert warned(bench) == []
        assert schema(bench) == before
        bench.run("ALTER TABLE item SET TABLESPACE pg_default")
        bench.database.connect().close()
        bench.undo()
        for each in bench.databases():
            inside = replace(bench, database=postgres.to(each))
            inside.run("ALTER TABLE item SET TABLESPACE pg_default")
        server.run(f"DROP TABLESPACE {name}")
    (planned,) = bench.plan().warnings
    assert name in planned
    assert planned in warned(bench)
    assert schema(bench) != before
    assert bench.items() == 1


OWN = {
    "own.control": "default_version = '1'\nrelocatable = false\nschema = own\n",
    "own--1.sql": "CREATE TABLE settings (name text, value text);"
    "CREATE SEQUENCE numbers; CREATE TABLE fixed AS SELECT 1 AS id;"
    "INSERT INTO settings VALUES ('mine', 'by the script');"
    "SELECT pg_extension_config_dump('settings', $$WHERE value <> 'by the script'$$);"
    "SELECT pg_extension_config_dump('numbers', '');",
    # as the real one does it, which knows the name from the server's configuration
    "pg_cron.control": "default_version = '1'\nrelocatable = false\nschema = pg_catalog\n",
    "pg_cron--1.sql": "DO $$ BEGIN IF current_database() <> 'stock' THEN"
    " RAISE 'can only create extension in database stock'; END IF; END $$;"
    "CREATE SCHEMA cron; CREATE TABLE cron.job (id serial, command text);"
    "SELECT pg_extension_config_dump('cron.job', '');"
    "SELECT pg_extension_config_dump('cron.job_id_seq', '');",
}


@pytest.fixture
def extended(tmp_path: Path) -> Iterator[Bench]:
    """A server with an extension of ours that wants some of its rows saved, as PostGIS does."""
    with scratch("extended") as folder:
        (folder / "extension").mkdir()
        for file, text in OWN.items():
            (folder / "extension" / file).write_text(text)
        for path in (folder, folder / "extension"):
            path.chmod(0o755)
        options = f"-c extension_control_path={folder}"
        with a_server(18, folder, options=options) as database:
            bench = Bench(database, DirectoryStore(tmp_path / "store"), tmp_path / "host")
            bench.run("CREATE DATABASE stock")
            yield replace(bench, database=database.to("stock"))


@pytest.mark.parametrize("options", [{}, {"jobs": 1}, {"trusted": True}], ids=str)
def test_rows_of_an_extension_come_back(extended: Bench, options: dict[str, Any]) -> None:
    extended.run("CREATE EXTENSION own; CREATE TABLE item AS SELECT 1 AS id")
    extended.run("INSERT INTO own.settings VALUES ('theirs', '1'); SELECT setval('own.numbers', 7)")
    before = schema(extended)
    extended.create()
    assert warned(extended, **options) == []
    query = "SELECT name FROM own.settings ORDER BY 1"
    assert extended.run(query) == [("mine",), ("theirs",)]
    assert extended.run("SELECT last_value FROM own.numbers") == [(7,)]
    assert schema(extended) == before
    acl = "SELECT count(*) FROM pg_class WHERE strpos(relacl::text, 'stockctl') > 0"
    assert extended.run(acl) == [(0,)]


@pytest.mark.parametrize("options", [{}, {"jobs": 1}, {"trusted": True}], ids=str)
def test_what_one_database_of_a_server_can_have_only(
    extended: Bench, options: dict[str, Any]
) -> None:
    """The copy cannot, so it is left out, and the plan says so."""
    extended.run("CREATE EXTENSION own; CREATE EXTENSION pg_cron")
    extended.run("CREATE TABLE item AS SELECT 1 AS id; INSERT INTO cron.job (command) VALUES ('x')")
    extended.create()
    (planned,) = extended.plan(**options).warnings
    assert "pg_cron is left out" in planned
    assert planned in warned(extended, **options)
    assert extended.run("SELECT extname FROM pg_extension ORDER BY 1") == [("own",), ("plpgsql",)]
    assert extended.items() == 1
    extended.undo()
    assert extended.run("SELECT command FROM cron.job") == [("x",)]
