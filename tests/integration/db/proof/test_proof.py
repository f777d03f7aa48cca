"""Migrations that cannot be taken back as they say: each kind of mistake is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.integration.db.proof.conftest import Migrations
from tests.servers import ONE, on_each_postgres, on_one_postgres

from stockctl.core.errors import Refused
from stockctl.db.proof.nouns import Outcome, Verdict

REAL = Path(__file__).parents[4] / "migrations"
ITEMS = """
CREATE TABLE items (id int PRIMARY KEY, title text NOT NULL DEFAULT 'x', price int, body text);
COMMENT ON COLUMN items.price IS 'in cent';
CREATE INDEX items_title ON items (title);
GRANT SELECT ON items TO PUBLIC;
"""
WARNINGS = ("P014", "P015", "P016")


def codes(verdict: Verdict) -> list[str]:
    return [problem.code for problem in verdict.problems]


# what is wrong, up, down, the codes
WRONG = [
    ("nothing", "ALTER TABLE items ADD a int", "ALTER TABLE items DROP a", []),
    ("an index is forgotten", "DROP INDEX items_title; ALTER TABLE items ADD a int",
     "ALTER TABLE items DROP a", ["P003", "P004"]),
    ("a column comes back at another place", "ALTER TABLE items DROP title",
     "ALTER TABLE items ADD title text NOT NULL DEFAULT 'x';"
     "CREATE INDEX items_title ON items (title)",
     ["P003", "P014"]),
    ("with another default", "ALTER TABLE items ALTER title DROP DEFAULT",
     "ALTER TABLE items ALTER title SET DEFAULT 'y'", ["P003"]),
    ("without its comment", "ALTER TABLE items DROP price, DROP body",
     "ALTER TABLE items ADD price int, ADD body text", ["P003", "P014"]),
    ("a privilege is lost", "REVOKE SELECT ON items FROM PUBLIC", "SELECT 1", ["P003"]),
    ("an enum is left", "CREATE TYPE mood AS ENUM ('a'); ALTER TABLE items ADD mood mood",
     "ALTER TABLE items DROP mood", ["P003", "P004"]),
    ("a column with data is dropped", "ALTER TABLE items ALTER body SET DEFAULT 'b'",
     "ALTER TABLE items DROP body; ALTER TABLE items ADD body text", ["P013"]),
    ("down needs an empty table", "ALTER TABLE items ADD a int; ALTER TABLE items DROP a",
     "ALTER TABLE items ADD a int NOT NULL; ALTER TABLE items DROP a", ["P012"]),
    ("up needs an empty table", "ALTER TABLE items ADD a int NOT NULL",
     "ALTER TABLE items DROP a", ["P011"]),
    ("down fails", "ALTER TABLE items ADD a int", "ALTER TABLE items DROP b", ["P002"]),
    ("down deletes rows", "ALTER TABLE items ADD a int",
     "ALTER TABLE items DROP a; DELETE FROM items", ["P013"]),
    ("up changes values", "UPDATE items SET body = 'new'", "SELECT 1", ["P014"]),
    ("a NULL written later",
     "ALTER TABLE items ALTER title DROP NOT NULL, ALTER title DROP DEFAULT",
     "ALTER TABLE items ALTER title SET NOT NULL, ALTER title SET DEFAULT 'x'", ["P016"]),
    ("rows that are made up", "ALTER TABLE items ADD CHECK (body LIKE 'never %')",
     "ALTER TABLE items DROP CONSTRAINT items_body_check", ["P015"]),
    ("not there the second time", "CREATE TABLE IF NOT EXISTS keep (a int); CREATE TABLE b (c int)",
     "DROP TABLE b; ALTER TABLE keep ADD z int", ["P003"]),
]  # fmt: skip


# the catalog itself is held against each version in test_catalog.py
SAMPLE = [each for each in WRONG if each[3] and len(each[3]) == 1][:6:2]


@on_each_postgres
def test_each_mistake_is_found(migrations: Migrations) -> None:
    """All in one folder, one after the other: what one of them broke hides none of the next."""
    expected = {}
    with migrations.database.connect() as connection:
        major = connection.info.server_version // 10000
    wrong = WRONG if major == ONE else SAMPLE
    for number, (name, up, down, found) in enumerate(wrong):

        def own(text: str, number: int = number) -> str:
            renamed = text.replace("items", f"items_{number}").replace("keep", f"keep_{number}")
            return renamed.replace("mood mood", f"mood mood_{number}").replace(
                "TYPE mood", f"TYPE mood_{number}"
            )

        migrations.write(f"{number * 2 + 1:04}_before", own(ITEMS), own("DROP TABLE items"))
        migrations.write(f"{number * 2 + 2:04}_it", own(up), own(down))
        expected[name] = found
    proof = migrations.prove()
    befores, its = proof.verdicts[::2], proof.verdicts[1::2]
    assert [each.problems for each in befores if each.outcome is not Outcome.PROVED] == []
    assert {n: codes(v) for (n, *_), v in zip(wrong, its, strict=True)} == expected
    for verdict in its:
        errors = [code for code in codes(verdict) if code not in WARNINGS]
        assert verdict.outcome is (Outcome.FAILED if errors else Outcome.PROVED)


@on_one_postgres
def test_the_difference_reads_like_sql(migrations: Migrations) -> None:
    up, down = "DROP INDEX items_title", "CREATE INDEX items_title ON items (title DESC)"
    verdict = migrations.verdict(up, down, before=ITEMS)
    [difference] = verdict.problems[0].differences
    assert str(difference.key) == "index public.items_title on public.items"
    assert difference.lines == (
        "-CREATE INDEX items_title ON public.items USING btree (title)",
        "+CREATE INDEX items_title ON public.items USING btree (title DESC)",
    )


@on_one_postgres
def test_the_migrations_of_this_repository_are_proved(migrations: Migrations) -> None:
    shutil.copytree(REAL, migrations.folder, dirs_exist_ok=True)
    proof = migrations.prove()
    assert {each.outcome for each in proof.verdicts} == {Outcome.PROVED}
    assert proof.problems == ()
    assert proof.unfilled == ()
    assert proof.tables == 6


@on_one_postgres
def test_what_stops_what(migrations: Migrations) -> None:
    migrations.write("0001_a", "CREATE TABLE a (b int)", "DROP TABLE a")
    migrations.write("0002_b", "INSERT INTO a VALUES (1)", head="-- irreversible: it is sent\n")
    migrations.write("0003_c", "SELECT 1;\nSELECT nothing", "SELECT 1")
    migrations.write("0004_d", "SELECT 1", "SELECT 1")
    found = migrations.prove().verdicts
    assert [each.outcome.value for each in found] == [
        "proved",
        "irreversible",
        "failed",
        "not_reached",
    ]
    assert found[1].reason == "it is sent"
    [problem] = found[2].problems
    assert (problem.code, problem.path.name, problem.line) == ("P001", "0003_c.sql", 2)
    assert found[3].reason == "0003_c fails"


@on_one_postgres
def test_locks_and_rewrites(migrations: Migrations) -> None:
    up = "ALTER TABLE items ALTER price TYPE bigint; COMMENT ON COLUMN items.body IS 'b'"
    down = "ALTER TABLE items ALTER price TYPE int; COMMENT ON COLUMN items.body IS NULL"
    migrations.write("0003_more", "ALTER TABLE items ADD z int", "ALTER TABLE items DROP z")
    migrations.write("0002_it", up, down)
    migrations.write("0001_before", ITEMS, "DROP TABLE items")
    _, second, third = migrations.prove().verdicts
    assert codes(second) == codes(third) == []
    [lock] = second.locks or ()
    assert (lock.table, lock.mode, lock.rewritten) == ("items", "AccessExclusiveLock", True)
    [lock] = third.locks or ()
    assert (lock.mode, lock.rewritten) == ("AccessExclusiveLock", False)


@on_one_postgres
def test_without_a_transaction(migrations: Migrations) -> None:
    head = "-- transactional: false\n"
    migrations.write("0001_before", ITEMS, "DROP TABLE items")
    up, down = "CREATE INDEX CONCURRENTLY i ON items (body)", "DROP INDEX CONCURRENTLY i"
    migrations.write("0002_good", up, down, head)
    up, down = "CREATE INDEX CONCURRENTLY k ON items (body)", "DROP INDEX CONCURRENTLY j"
    migrations.write("0003_bad", up, down, head)
    migrations.write("0004_enum", "CREATE TYPE mood AS ENUM ('a')", "DROP TYPE mood")
    migrations.write("0005_grows", "ALTER TYPE mood ADD VALUE 'b'", "SELECT 1")
    _, good, bad, _, grows = migrations.prove().verdicts
    assert (good.outcome, good.locks, codes(good)) == (Outcome.PROVED, None, [])
    assert codes(bad) == ["P002"]
    assert codes(grows) == ["P003", "P004"]


REACHING = [
    ("CREATE ROLE stockctl_never", "0002_it.sql:1: CREATE ROLE"),
    ("SELECT 1;\nGRANT CONNECT ON DATABASE postgres TO PUBLIC", ":2: GRANT CONNECT ON"),
    ("COMMENT ON DATABASE postgres IS 'x'", "COMMENT ON DATABASE"),
    ("DO $$ BEGIN EXECUTE 'CREATE ROLE stockctl_never'; END $$", "0002_it.sql changes what"),
    ("DO $$ BEGIN EXECUTE 'ALTER ROLE CURRENT_USER SET x.y = 1'; END $$", "changes what"),
    ("DO $$ BEGIN EXECUTE 'COMMENT ON ROLE pg_monitor IS ''x'' '; END $$", "changes what"),
]


@on_one_postgres
def test_what_reaches_out_of_the_database_is_refused(migrations: Migrations) -> None:
    for up, said in REACHING:
        with pytest.raises(Refused) as refused:
            migrations.verdict(up, "SELECT 1")
        assert said in f"{refused.value} {refused.value.details}"
        assert "--embedded" in refused.value.hint
    with migrations.database.connect() as connection:
        roles = connection.execute("SELECT FROM pg_roles WHERE rolname = 'stockctl_never'")
        assert roles.fetchone() is None
        settings = connection.execute("SELECT FROM pg_db_role_setting WHERE setdatabase = 0")
        assert settings.fetchone() is None


@on_one_postgres
def test_hostile_names(migrations: Migrations) -> None:
    name = 'a"; drop table x; --'
    quoted = '"' + name.replace('"', '""') + '"'
    table = f"{quoted}.{quoted}"
    up = (
        f"CREATE SCHEMA {quoted}; CREATE TABLE {table} ({quoted} int PRIMARY KEY, "
        f"\"%s\" text CHECK (\"%s\" IN ('it''s', '%s')), \"{{}}\" int REFERENCES {table});"
        f"COMMENT ON COLUMN {table}.{quoted} IS 'x''y'"
    )
    migrations.write("0001_before", "CREATE TABLE x ()", "DROP TABLE x")
    migrations.write("0002_good", up, f"DROP SCHEMA {quoted} CASCADE")
    up = f"ALTER TABLE x ADD {quoted} int; CREATE INDEX {quoted} ON x ({quoted})"
    migrations.write("0003_bad", up, f"DROP INDEX {quoted}")
    _, good, bad = (codes(each) for each in migrations.prove().verdicts)
    assert (good, bad) == ([], ["P003", "P004"])
