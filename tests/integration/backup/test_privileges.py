"""A restored database is as closed, and as open, to everybody as it was when it was saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from tests.integration.backup.conftest import HOLDER, Bench
from tests.servers import on_each_postgres, scratch

from stockctl.backup.table import TableBack, choose_table, restore_table
from stockctl.core.progress import Event, Message
from stockctl.system.embedded import serve
from stockctl.system.postgres import Database

# Everything that pg_dump knows owners and privileges of, and names that have to be quoted.
SCENE = """
GRANT CREATE ON SCHEMA public TO {own};
CREATE SCHEMA "S %s" AUTHORIZATION {own};
GRANT USAGE ON SCHEMA "S %s" TO {app}, {read} WITH GRANT OPTION;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO {app}, {read};
CREATE TABLE item AS SELECT n AS id, 'x' AS body FROM generate_series(1, 20) n;
CREATE TABLE "Odd ""1"" t" (id int GENERATED ALWAYS AS IDENTITY, s serial, "a b" text, v int);
ALTER TABLE "Odd ""1"" t" OWNER TO {own};
GRANT SELECT, INSERT ON "Odd ""1"" t" TO {app};
GRANT UPDATE ("a b"), SELECT (id) ON "Odd ""1"" t" TO {read} WITH GRANT OPTION;
GRANT USAGE ON SEQUENCE "Odd ""1"" t_s_seq" TO {app};
GRANT SELECT ON "Odd ""1"" t" TO {read} WITH GRANT OPTION;
SET ROLE {read}; GRANT SELECT ON "Odd ""1"" t" TO {last}; RESET ROLE;
GRANT ALL ON item TO {app};
CREATE VIEW seen AS SELECT id FROM item;
ALTER VIEW seen OWNER TO {own}; REVOKE INSERT ON seen FROM {own}; GRANT SELECT ON seen TO {read};
CREATE MATERIALIZED VIEW kept AS SELECT id FROM item; GRANT SELECT ON kept TO PUBLIC;
CREATE SEQUENCE counter; ALTER SEQUENCE counter OWNER TO {own}; GRANT ALL ON counter TO {app};
CREATE FUNCTION "S %s".f(a int, "b c" text[], VARIADIC x "char"[] DEFAULT '{}') RETURNS int
  LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION "S %s".f OWNER TO {own};
REVOKE ALL ON FUNCTION "S %s".f FROM PUBLIC; GRANT EXECUTE ON FUNCTION "S %s".f TO {app};
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON PROCEDURE p FROM PUBLIC;
CREATE AGGREGATE a(int) (sfunc = int4pl, stype = int); ALTER AGGREGATE a(int) OWNER TO {own};
CREATE TYPE mood AS ENUM ('well'); REVOKE ALL ON TYPE mood FROM PUBLIC;
ALTER TYPE mood OWNER TO {own};
CREATE TYPE pair AS (x int, y int); ALTER TYPE pair OWNER TO {own};
CREATE DOMAIN small AS int; GRANT USAGE ON DOMAIN small TO {app}; ALTER DOMAIN small OWNER TO {own};
CREATE OPERATOR <%+ (leftarg = int, rightarg = int, function = int4pl);
ALTER OPERATOR <%+ (int, int) OWNER TO {own};
CREATE STATISTICS st ON id, v FROM "Odd ""1"" t"; ALTER STATISTICS st OWNER TO {own};
CREATE COLLATION col FROM "C"; ALTER COLLATION col OWNER TO {own};
CREATE TEXT SEARCH DICTIONARY dict (template = simple);
ALTER TEXT SEARCH DICTIONARY dict OWNER TO {own};
ALTER DEFAULT PRIVILEGES FOR ROLE {own} IN SCHEMA "S %s" GRANT SELECT ON TABLES TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {own} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC; GRANT USAGE ON LANGUAGE plpgsql TO {app};
SELECT lo_create(4711), lo_create(4712), lo_create(4713);
ALTER LARGE OBJECT 4711 OWNER TO {own}; ALTER LARGE OBJECT 4712 OWNER TO {own};
GRANT SELECT ON LARGE OBJECT 4711, 4712 TO {app}
"""
_EACH = "coalesce({acl}, acldefault('{kind}', {owner}))"
_OF = """
SELECT '{kind}', {name}, pg_get_userbyid({owner}), pg_get_userbyid(g.grantor),
       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END,
       g.privilege_type, g.is_grantable
FROM {catalogue}, aclexplode({acl}) g WHERE {where}
"""
_OURS = "{schema}::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
_CATALOGUES = [
    ("r", "pg_class", "oid::regclass::text", "relowner", "relacl", "relnamespace"),
    ("f", "pg_proc", "oid::regprocedure::text", "proowner", "proacl", "pronamespace"),
    ("T", "pg_type", "oid::regtype::text", "typowner", "typacl", "typnamespace"),
    ("n", "pg_namespace", "nspname", "nspowner", "nspacl", "oid"),
    ("l", "pg_language", "lanname", "lanowner", "lanacl", ""),
    ("L", "pg_largeobject_metadata", "oid::text", "lomowner", "lomacl", ""),
]
_COLUMNS = """
SELECT attrelid::regclass::text, attname, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL
AND attrelid::regclass::text NOT LIKE 'pg\\_%'
"""
_DEFAULTS = """
SELECT pg_get_userbyid(defaclrole), defaclnamespace::regnamespace::text, defaclobjtype,
       defaclacl::text
FROM pg_default_acl
"""
_OTHERS = """
SELECT classid::regclass::text, i.identity, pg_get_userbyid(refobjid) FROM pg_shdepend s,
  pg_identify_object(classid, objid, 0) i
WHERE deptype = 'o' AND classid NOT IN ('pg_extension'::regclass, 'pg_database'::regclass)
  AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def who_may_what(bench: Bench) -> set[tuple[Any, ...]]:
    """Owners and privileges, of all that is not the system's."""
    found: set[tuple[Any, ...]] = set()
    for kind, catalogue, name, owner, acl, schema in _CATALOGUES:
        each = _EACH.format(acl=acl, kind=kind, owner=owner)
        where = _OURS.format(schema=schema) if schema else "true"
        if catalogue == "pg_class":
            where += " AND relkind IN ('r', 'v', 'm', 'S')"
            each = each.replace("'r'", "CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\"")
        text = _OF.format(
            kind=kind, name=name, owner=owner, catalogue=catalogue, acl=each, where=where
        )
        found |= set(bench.run(text))
    for query in (_COLUMNS, _DEFAULTS, _OTHERS):
        found |= set(bench.run(query))
    return found


def owner_of(bench: Bench, name: str) -> set[str]:
    return {row[2] for row in who_may_what(bench) if row[1] == name and row[0] in ("r", "f")}


@dataclass
class Cast:
    """Roles of one test: names as SQL has them."""

    bench: Bench

    @property
    def names(self) -> dict[str, str]:
        name = self.bench.database.dsn.database
        plain = {each: f"{name}_{each}" for each in ("own", "read", "last")}
        return {"app": f'{name}_"App" %', **plain}

    def quoted(self) -> dict[str, str]:
        return {k: '"' + v.replace('"', '""') + '"' for k, v in self.names.items()}

    def text(self, script: str) -> str:
        for key, name in self.quoted().items():
            script = script.replace("{" + key + "}", name)
        return script

    def play(self, script: str = SCENE) -> None:
        """All on one connection; SET ROLE lasts."""
        with self.bench.database.connect() as connection:
            for statement in self.text(script).split(";\n"):
                connection.execute(statement.encode())

    def forget(self, bench: Bench, *but: str) -> None:
        """On the bench's server there are no such roles any more."""
        server = replace(bench, database=bench.database.to("postgres"))
        for key, role in self.quoted().items():
            if key in but or not server.run(
                "SELECT 1 FROM pg_roles WHERE rolname = %s", self.names[key]
            ):
                continue
            for each in bench.databases():
                server.run(f'ALTER DATABASE "{each}" OWNER TO CURRENT_USER')
                inside = replace(bench, database=bench.database.to(each))
                inside.run(f"DROP OWNED BY {role} CASCADE")
            server.run(f"DROP ROLE {role}")


@pytest.fixture
def cast(bench: Bench) -> Iterator[Cast]:
    cast = Cast(bench)
    for role in cast.quoted().values():
        bench.run(f"CREATE ROLE {role} LOGIN")
    yield cast
    cast.forget(bench)


@pytest.fixture(scope="module")
def empty() -> Iterator[Database]:
    """Another server, on which nothing of ours is yet."""
    with (
        scratch("other") as folder,
        serve(folder / "pg") as database,
    ):
        yield database


def warned(bench: Bench, **options: Any) -> list[str]:
    """What a restore warns of."""
    said: list[Event] = []
    bench.on(said.append).restore(**options)
    return [e.text for e in said if isinstance(e, Message) and e.severity.name == "WARNING"]


@on_each_postgres
def test_owners_and_privileges_of_everything_come_back(bench: Bench, cast: Cast) -> None:
    cast.play()
    before = who_may_what(bench)
    bench.create()
    assert warned(bench) == []
    assert who_may_what(bench) == before


@pytest.mark.parametrize("options", [{"jobs": 2}, {"trusted": True}], ids=str)
def test_whichever_way_it_is_restored(bench: Bench, cast: Cast, options: dict[str, Any]) -> None:
    cast.play()
    before = who_may_what(bench)
    bench.create()
    assert warned(bench, **options) == []
    assert who_may_what(bench) == before


def test_the_application_can_work_and_the_others_cannot(bench: Bench, cast: Cast) -> None:
    cast.play()
    bench.create()
    bench.restore()
    app = replace(bench.database.dsn, user=cast.names["app"])
    with psycopg.connect(**app.parameters()) as connection:
        connection.execute('INSERT INTO "Odd ""1"" t" (v) VALUES (1)')
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (20,)
    last = replace(app, user=cast.names["last"])
    with (
        psycopg.connect(**last.parameters()) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT FROM public.item")


def test_into_an_empty_server(bench: Bench, cast: Cast, empty: Database) -> None:
    cast.play()
    before = who_may_what(bench)
    bench.create()
    there = replace(bench, database=empty.to(bench.database.dsn.database))
    try:
        assert warned(there) == []
        assert who_may_what(there) == before
    finally:
        cast.forget(there)


def test_a_role_that_is_gone_is_named_before_anything_starts(bench: Bench, cast: Cast) -> None:
    cast.play()
    bench.create()
    cast.forget(bench, "app")
    gone = {name for key, name in cast.names.items() if key != "app"}
    (warning,) = bench.plan().warnings
    assert all(name in warning for name in gone)
    assert cast.names["app"] not in warning
    owner = bench.run("SELECT current_user")[0][0]
    assert any(all(name in said for name in gone) for said in warned(bench))
    who = who_may_what(bench)
    assert owner_of(bench, '"Odd ""1"" t"') == {owner}
    assert ("r", "item", owner, owner, cast.names["app"], "SELECT", False) in who
    assert bench.items() == 20


@pytest.mark.parametrize("owner", ["{own}", "CURRENT_USER"])
def test_a_schema_public_that_is_somebodys(bench: Bench, cast: Cast, owner: str) -> None:
    """As databases have it that come from PostgreSQL 14 or older."""
    cast.play(
        f"ALTER SCHEMA public OWNER TO {owner};\n"
        "GRANT ALL ON SCHEMA public TO PUBLIC;\n"
        "GRANT USAGE ON SCHEMA public TO {app} WITH GRANT OPTION;\n"
        "CREATE TABLE item AS SELECT 1 AS id;\n"
        "GRANT SELECT ON item TO {app}"
    )
    before = who_may_what(bench)
    bench.create()
    assert warned(bench) == []
    assert who_may_what(bench) == before


def test_what_nobody_revoked_by_hand_stays_revoked(bench: Bench, cast: Cast) -> None:
    """Without privileges a function is everybody's: a copy must not be more open."""
    cast.play(
        "CREATE FUNCTION secret() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';\n"
        "REVOKE ALL ON FUNCTION secret FROM PUBLIC;\n"
        "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision) FROM PUBLIC"
    )
    bench.create()
    assert warned(bench) == []
    for each in ("secret()", "pg_catalog.pg_sleep(double precision)"):
        query = "SELECT has_function_privilege(%s, %s, 'EXECUTE')"
        assert bench.run(query, cast.names["app"], each) == [(False,)]


def test_a_dump_makes_nobody_a_superuser_by_its_owners_and_grants(bench: Bench, cast: Cast) -> None:
    """Functions of a superuser that are everybody's, what only a superuser may grant."""
    bench.run(
        cast.text("ALTER DATABASE {db} OWNER TO {own}".replace("{db}", bench.database.dsn.database))
    )
    cast.play(
        "CREATE FUNCTION powerful() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';\n"
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO {app};\n"
        "CREATE TABLE item AS SELECT 1 AS id"
    )
    us = bench.run("SELECT current_user")[0][0]
    bench.create()
    (planned,) = bench.plan().warnings
    assert f"what {us} owned goes to {cast.names['own']}" in planned
    said = warned(bench)
    assert any("pg_read_file" in each for each in said)
    assert owner_of(bench, "powerful()") == {cast.names["own"]}
    query = "SELECT has_function_privilege(%s, 'pg_read_file(text)', 'EXECUTE')"
    assert bench.run(query, cast.names["app"]) == [(False,)]
    assert warned(bench, trusted=True) == []
    assert owner_of(bench, "powerful()") == {us}
    assert bench.run(query, cast.names["app"]) == [(True,)]


def test_an_owner_who_is_no_superuser_gives_back_what_it_can(bench: Bench, cast: Cast) -> None:
    name = bench.database.dsn.database
    own = cast.quoted()["own"]
    bench.run(f"ALTER ROLE {own} CREATEDB; ALTER DATABASE {name} OWNER TO {own}")
    dsn = replace(bench.database.dsn, user=cast.names["own"])
    weak = replace(bench, database=replace(bench.database, dsn=dsn))
    Cast(weak).play(
        "CREATE TABLE item AS SELECT 1 AS id;\n"
        "CREATE TABLE other (id int);\n"
        "GRANT SELECT ON item TO {app}, {read} WITH GRANT OPTION;\n"
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';\n"
        "REVOKE ALL ON FUNCTION f FROM PUBLIC;\n"
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {app}"
    )
    before = who_may_what(bench)
    weak.create()
    assert warned(weak) == []
    assert who_may_what(bench) == before
    bench.run(cast.text("ALTER TABLE other OWNER TO {read}"))
    bench.run(cast.text("GRANT SELECT ON other TO {own}"))
    bench.run(cast.text("SET ROLE {read}; GRANT SELECT ON item TO {last}"))
    weak.create()
    said = warned(weak)
    assert any(cast.names["read"] in each and "is no member" in each for each in said)
    assert any("not given back" in each and cast.names["last"] in each for each in said)


def back(bench: Bench, table: str) -> TableBack:
    backup = bench.catalogue().backups[0]
    return restore_table(
        backup,
        choose_table(backup, table),
        bench.database,
        bench.store,
        identity_file=None,
        lock_holder=HOLDER,
        **bench.ports(),
    )


def test_one_table_has_the_owner_and_the_privileges_that_it_had(bench: Bench, cast: Cast) -> None:
    cast.play()
    before = who_may_what(bench)
    bench.create()
    bench.run('DROP TABLE "Odd ""1"" t" CASCADE')
    assert back(bench, 'public."Odd ""1"" t"').restored == 'public."Odd ""1"" t_restored"'
    old, new = '"Odd ""1"" t"', '"Odd ""1"" t_restored"'
    after = {tuple(old if x == new else x for x in row) for row in who_may_what(bench)}
    of = {row for row in before if row[1] == old or row[0] == old}
    assert of
    assert of <= after
