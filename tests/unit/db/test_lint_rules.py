"""Where each rule begins and ends: what it must find, and what it must leave alone."""

from __future__ import annotations

from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stockctl.core.command import Command, Completed
from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.db.lint.acts import acts
from stockctl.db.lint.run import lint
from stockctl.db.statements import split
from stockctl.system.local import LocalHost


class NoSquawk(LocalHost):
    """Answers for squawk that there is nothing."""

    def run(self, command: Command, **_options: object) -> Completed:  # type: ignore[override]
        return Completed(command, 0, "[]", "", 0.0)


def found(folder: Path, *ups: str, down: str = "SELECT 1;") -> list[Finding]:
    """Of the last of these migrations; the ones before are there for what they make."""
    for number, up in enumerate(ups, 1):
        (folder / f"{number:04d}_it.sql").write_text(up)
        (folder / f"{number:04d}_it.rollback.sql").write_text(down)
    name = f"{len(ups):04d}_it"
    return list(lint(folder, NoSquawk(), lambda path: path.name, since=name).findings)


def codes(folder: Path, *ups: str, down: str = "SELECT 1;") -> set[str]:
    """Without those about the down script, which is empty here."""
    told = {each.code for each in found(folder, *ups, down=down)}
    return told - {"L040", "L042"}


NO = "-- transactional: false\n\n"
CONTRACT = "-- phase: contract\n\n"
USERS = "CREATE TABLE users (id bigint, name varchar(50) NOT NULL, price numeric(10,2), n int);"


@pytest.mark.parametrize(
    ("up", "expected"),
    [
        # what the running release may need
        ("DROP TABLE users", {"L001"}),
        ("DROP TABLE IF EXISTS a, public.b", {"L001"}),
        ("DROP VIEW v; CREATE VIEW v AS SELECT 1", set()),
        ("DROP TABLE t; CREATE TABLE t (a int)", {"L001"}),
        ("CREATE TABLE t (a int); DROP TABLE t", set()),
        ("DROP FUNCTION f(int); CREATE OR REPLACE FUNCTION f(bigint) RETURNS int", set()),
        ("CREATE TABLE t (a int); ALTER TABLE t RENAME TO u; ALTER TABLE t DROP COLUMN a", set()),
        ("ALTER TABLE users RENAME a TO b", {"L001"}),
        ("ALTER TABLE users RENAME COLUMN a TO b", {"L001"}),
        ("ALTER TABLE users RENAME CONSTRAINT a TO b", set()),
        ("ALTER TABLE users RENAME TO people", {"L001"}),
        ("ALTER VIEW v RENAME TO w", {"L001"}),
        ("ALTER INDEX i RENAME TO j", set()),
        ("ALTER TYPE mood RENAME VALUE 'a' TO 'b'", {"L001"}),
        ("ALTER TABLE users SET SCHEMA old", {"L001"}),
        ("ALTER TABLE users ALTER a DROP DEFAULT", {"L001"}),
        ("ALTER TABLE users ALTER COLUMN a DROP NOT NULL", set()),
        ("ALTER TABLE users DROP CONSTRAINT a", set()),
        ('ALTER TABLE "Users" DROP "Drop"', {"L001"}),
        ("DROP INDEX CONCURRENTLY a", {"L011"}),
        ("DROP EXTENSION hstore", {"L001"}),
        ("ALTER TABLE users ALTER COLUMN id DROP IDENTITY", {"L001"}),
        ("ALTER TABLE users ADD a int; ALTER TABLE users ALTER a SET NOT NULL", {"L001", "L023"}),
        ("ALTER TABLE users ADD a int DEFAULT 1; ALTER TABLE users ALTER a SET NOT NULL", {"L023"}),
        (f"{CONTRACT}DROP TABLE users", set()),
        # new columns
        ("ALTER TABLE users ADD a int NOT NULL", {"L002"}),
        ("ALTER TABLE users ADD a int NOT NULL DEFAULT NULL", {"L002"}),
        ("ALTER TABLE users ADD COLUMN IF NOT EXISTS a int NOT NULL DEFAULT 0", set()),
        ("CREATE TABLE t (); ALTER TABLE t ADD a int NOT NULL", set()),
        ("ALTER TABLE users ADD a timestamptz NOT NULL DEFAULT now()", set()),
        ("ALTER TABLE users ADD a timestamptz NOT NULL DEFAULT clock_timestamp()", {"L003"}),
        ("ALTER TABLE users ADD a text DEFAULT 'random()'", set()),
        ("ALTER TABLE users ADD a numeric(10, 2) DEFAULT 0::numeric(10, 2)", set()),
        ("ALTER TABLE users ADD a text DEFAULT lower('A' || \"my\"('x'))", {"L003"}),
        ("ALTER TABLE users ADD a text DEFAULT app.now()", {"L003"}),
        ("ALTER TABLE users ADD a text DEFAULT pg_catalog.now()", set()),
        ("ALTER TABLE users ADD a int GENERATED ALWAYS AS (n + 1) STORED", {"L003"}),
        ("ALTER TABLE users ADD a int GENERATED ALWAYS AS (n + 1) VIRTUAL", set()),
        ("ALTER TABLE users ADD a bigserial", {"L003"}),
        ("ALTER TABLE users ADD a bigint GENERATED ALWAYS AS IDENTITY", {"L003"}),
        ("ALTER TABLE users ADD a bigint REFERENCES teams (id)", set()),
        ("ALTER TABLE users ADD a bigint DEFAULT 1 REFERENCES teams (id)", {"L020"}),
        ("ALTER TABLE users ADD a text UNIQUE", {"L021"}),
        ("ALTER TABLE users ADD a int CHECK (a > 0)", set()),
        # locks
        ("CREATE INDEX ON users (a)", {"L010"}),
        ("CREATE UNIQUE INDEX IF NOT EXISTS i ON ONLY users (a)", set()),
        ("CREATE TABLE t (a int); CREATE INDEX i ON t (a)", set()),
        ('CREATE TABLE "T" (a int); CREATE INDEX i ON t (a)', {"L010"}),
        ("CREATE TABLE public.t (a int); CREATE INDEX i ON t (a)", set()),
        ("CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE INDEX i ON m (a)", set()),
        ("VACUUM users", {"L011"}),
        ("REFRESH MATERIALIZED VIEW m", {"L005"}),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY m", set()),
        ("REFRESH MATERIALIZED VIEW m WITH NO DATA", set()),
        ("REINDEX (VERBOSE) TABLE users", {"L005"}),
        (f"{NO}REINDEX TABLE CONCURRENTLY users", set()),
        (f"{NO}REINDEX (CONCURRENTLY) TABLE users", set()),
        (f"{NO}VACUUM (FULL, ANALYZE) users", {"L005"}),
        ("CLUSTER users USING i", {"L005"}),
        ("LOCK TABLE users IN SHARE MODE", {"L005"}),
        ("ALTER TABLE users SET UNLOGGED", {"L005"}),
        ("ALTER TABLE users SET (fillfactor = 70)", set()),
        ("ALTER TABLE users SET TABLESPACE fast", {"L005"}),
        ("ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b", {"L005"}),
        ("ALTER DATABASE app SET TABLESPACE fast", {"L011"}),
        ("ALTER SYSTEM SET work_mem = '1MB'", {"L011"}),
        ("ALTER DATABASE app SET work_mem = '1MB'", set()),
        (f"{NO}ALTER TYPE mood ADD VALUE 'calm'", set()),
        (f"{NO}DO $$ BEGIN COMMIT; END $$", {"L034"}),
        (f"{NO}ALTER TABLE a DETACH PARTITION b CONCURRENTLY", set()),
        (f"{NO}UPDATE users SET a = 1 WHERE id = 1", {"L012"}),
        # constraints
        ("ALTER TABLE users ADD CONSTRAINT c CHECK (a > 0)", {"L020"}),
        ("ALTER TABLE users ADD CHECK (a > 0) NOT VALID", set()),
        ("ALTER TABLE users ADD FOREIGN KEY (a) REFERENCES b (id)", {"L020"}),
        ("ALTER TABLE users ADD CONSTRAINT c NOT NULL a", {"L020"}),
        ("ALTER TABLE users ADD CONSTRAINT c NOT NULL a NOT VALID", set()),
        ("CREATE TABLE t (a int); ALTER TABLE t ADD CHECK (a > 0)", set()),
        ("ALTER TABLE users ADD PRIMARY KEY (id)", {"L021"}),
        ("ALTER TABLE users ADD CONSTRAINT c PRIMARY KEY USING INDEX i", set()),
        ("CREATE TABLE t (id int PRIMARY KEY)", {"L024"}),
        ("CREATE TABLE t (id bigint PRIMARY KEY, score int)", set()),
        # rows
        ("UPDATE users SET a = (SELECT 1 WHERE true)", {"L030"}),
        ("WITH x AS (SELECT 1 WHERE true) DELETE FROM users", {"L030"}),
        ("WITH x AS (DELETE FROM users RETURNING 1) SELECT 1", set()),
        ("DELETE FROM ONLY users u WHERE u.id = 1", set()),
        ("CREATE TABLE t (a int); INSERT INTO t SELECT 1; UPDATE t SET a = 2; TRUNCATE t", set()),
        ("TRUNCATE TABLE ONLY users, teams", {"L031"}),
        ("ALTER TABLE users DROP CONSTRAINT c CASCADE", {"L032"}),
        ("DROP INDEX cascade", set()),
        ("ALTER TYPE mood ADD VALUE 'calm'; SELECT $$'calm'$$", set()),
        ("CREATE TYPE mood AS ENUM (); ALTER TYPE mood ADD VALUE 'a'; SELECT 'a'", set()),
        ("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'a' BEFORE 'b'; SELECT 'a'::mood", {"L033"}),
    ],
)
def test_what_is_found(up: str, expected: set[str], tmp_path: Path) -> None:
    assert codes(tmp_path, f"{up};\n") == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("name TYPE varchar(100)", set()),
        ("name TYPE varchar", set()),
        ("name SET DATA TYPE text", set()),
        ('name TYPE character varying(60) COLLATE "C"', set()),
        ("name TYPE varchar(20)", {"L001", "L004"}),
        ("name TYPE text USING lower(name)", {"L004"}),
        ("price TYPE numeric(12,2)", set()),
        ("price TYPE numeric", set()),
        ("price TYPE numeric(12,4)", {"L001", "L004"}),
        ("n TYPE bigint", {"L004"}),
        ("n TYPE smallint", {"L001", "L004"}),
        ("n TYPE int4", set()),
        ("unheard_of TYPE text", {"L004"}),
    ],
)
def test_a_change_of_type_knows_the_type_before(
    change: str, expected: set[str], tmp_path: Path
) -> None:
    assert codes(tmp_path, USERS, f"ALTER TABLE users ALTER COLUMN {change};") == expected


CHECK = "ALTER TABLE users ADD CONSTRAINT c CHECK (id IS NOT NULL)"
SET = f"{CONTRACT}ALTER TABLE users ALTER id SET NOT NULL;"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([f"{CHECK} NOT VALID;", "ALTER TABLE users VALIDATE CONSTRAINT c;"], set()),
        ([f"{CHECK};"], set()),
        ([f"{CHECK} NOT VALID;"], {"L023"}),
        ([f"{CHECK} NOT VALID;", "ALTER TABLE users VALIDATE CONSTRAINT d;"], {"L023"}),
        ([CHECK.replace("id IS", "name IS")], {"L023"}),
        ([CHECK.replace("NULL)", "NULL OR true)")], {"L023"}),
        ([f"{CHECK};", "DROP TABLE users;", USERS], {"L023"}),
        ([f"{CHECK[:-1]} AND (name IS NOT NULL));"], set()),
        ([CHECK.replace("(id", "(uid") + ";", "ALTER TABLE users RENAME uid TO id;"], set()),
    ],
)
def test_not_null_is_proven_by_a_check_that_is_valid(
    before: list[str], expected: set[str], tmp_path: Path
) -> None:
    assert codes(tmp_path, USERS, *before, SET) == expected


@pytest.mark.parametrize(
    ("up", "down", "expected"),
    [
        ("CREATE TABLE t ()", "SELECT 1", {"L040"}),
        ("CREATE TABLE t ()", "DROP TABLE IF EXISTS public.t", set()),
        ("CREATE TABLE t (); CREATE INDEX i ON t (a)", "DROP TABLE t", set()),
        ("CREATE TABLE t ()", "DROP TABLE t, u", {"L041"}),
        ("CREATE SCHEMA s; CREATE TABLE s.t ()", "DROP SCHEMA s CASCADE", {"L032"}),
        ("ALTER TABLE u ADD a int, ADD b int", "ALTER TABLE u DROP a", {"L040"}),
        ("ALTER TABLE u ADD a int", "ALTER TABLE u DROP a, DROP b", {"L041"}),
        ("ALTER TABLE u ADD a int", "ALTER TABLE v DROP a", {"L040", "L041"}),
        ("CREATE OR REPLACE VIEW v AS SELECT 2", "CREATE OR REPLACE VIEW v AS SELECT 1", set()),
        ("CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f()", "DROP TRIGGER x ON t", set()),
        ("CREATE FUNCTION f(a int) RETURNS int", "DROP FUNCTION f(int)", set()),
        ("CREATE TEMP TABLE t ()", "SELECT 1", set()),
        ("CREATE TYPE t AS (a int); DROP TYPE t", "SELECT 1", set()),
        ("ALTER TYPE mood ADD VALUE 'x'", "SELECT 1", set()),
        ("CREATE TABLE t (); DO $$ BEGIN END $$", "SELECT 1", {"L034"}),
        (
            "ALTER TABLE t DROP CONSTRAINT c",
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a) NOT VALID",
            set(),
        ),
        (f"{CONTRACT}DROP TABLE t", "CREATE TABLE t ()", set()),
        (f"{CONTRACT}DROP TABLE t", "SELECT 1", {"L042"}),
        (
            f"{CONTRACT}DROP VIEW v; CREATE VIEW v AS SELECT 1",
            "CREATE OR REPLACE VIEW v AS SELECT 2",
            set(),
        ),
        (f"{CONTRACT}ALTER TABLE t DROP a, DROP b", "ALTER TABLE t ADD a int", {"L042"}),
        ("ALTER TABLE t DROP CONSTRAINT c", "ALTER TABLE t ADD CHECK (a) NOT VALID", set()),
        ("ALTER TABLE t DROP CONSTRAINT c", "SELECT 1", {"L042"}),
    ],
)
def test_the_down_script_is_held_against_the_up_script(
    up: str, down: str, expected: set[str], tmp_path: Path
) -> None:
    assert {each.code for each in found(tmp_path, f"{up};", down=f"{down};")} == expected


def test_a_lock_in_a_down_script_is_a_warning(tmp_path: Path) -> None:
    (each,) = found(tmp_path, "DROP INDEX i;", down="CREATE INDEX i ON users (a);")
    assert (each.code, each.severity) == ("L010", Severity.WARNING)


def test_positions_are_those_of_the_action_and_quoted(tmp_path: Path) -> None:
    up = "-- é\n/* é */ ALTER TABLE users\n    ADD COLUMN a text,\n    DROP COLUMN é;\n"
    (each,) = (f for f in found(tmp_path, up) if f.code == "L001")
    assert each.where == Where("0001_it.sql", 4, 5)
    assert each.quote == "    DROP COLUMN é;"


def test_three_alters_of_one_table_are_one_too_many(tmp_path: Path) -> None:
    alters = "".join(f"ALTER TABLE users ALTER COLUMN {c} SET STATISTICS 9;\n" for c in "abc")
    (each,) = found(tmp_path, alters)
    assert each.code == "L013"
    assert each.where and each.where.line == 3


def test_many_statements_take_time_in_proportion(tmp_path: Path) -> None:
    """3,000 of each kind; a rule that looked at all for each would take minutes."""
    kinds = ("DROP VIEW v{0};", "ALTER TABLE t ADD c{0} int;", "CREATE INDEX i{0} ON t (c{0});")
    up = "\n".join(kind.format(n) for n in range(3_000) for kind in kinds)
    down = "\n".join(f"ALTER TABLE t DROP c{n};" for n in range(3_000))
    started = process_time()
    assert {each.code for each in found(tmp_path, up, down=down)} == {
        "L001",
        "L010",
        "L013",
        "L042",
    }
    assert process_time() - started < 10


# --------------------------------------------------------------------- ignores


@pytest.mark.parametrize(
    "up",
    [
        "-- stockctl: ignore L031 -- a cache\nTRUNCATE a;",
        "TRUNCATE a; -- stockctl: ignore L031 -- a cache",
        "SELECT 1;\n-- stockctl: ignore-file L031 -- caches\nTRUNCATE a; TRUNCATE b;",
        "-- stockctl: ignore L001, L032 -- gone\nALTER TABLE a\n  DROP b\n  CASCADE;",
        "-- stockctl: ignore L001 L032 -- gone\r\n-- and more\r\nALTER TABLE a\r\n DROP b CASCADE;",
        "ALTER TABLE a\n    -- stockctl: ignore L001 -- gone\n    DROP COLUMN b;",
    ],
)
def test_an_ignore_with_a_reason_counts(up: str, tmp_path: Path) -> None:
    assert codes(tmp_path, up) == set()


@pytest.mark.parametrize(
    ("up", "expected"),
    [
        ("-- stockctl: ignore L031\nTRUNCATE a;", {"L031", "L091"}),
        ("-- stockctl: ignore L999 -- why\nTRUNCATE a;", {"L031", "L091"}),
        ("-- stockctl: ignore M014 -- why\nCOMMIT;", {"M014", "L091"}),
        ("-- stockctl: ignore L031 -- why\nSELECT 1;", {"L090"}),
        ("-- stockctl: ignore L031 -- why\n\nTRUNCATE a;", {"L031", "L090"}),
        ("SELECT '\n-- stockctl: ignore-file L031 -- why\n'; TRUNCATE a;", {"L031"}),
        ("SELECT $$\n-- stockctl: ignore-file L031 -- why\n$$; TRUNCATE a;", {"L031"}),
        ("/*\n-- stockctl: ignore-file L031 -- why\n*/ TRUNCATE a;", {"L031"}),
    ],
)
def test_one_without_a_reason_or_effect_is_reported(
    up: str, expected: set[str], tmp_path: Path
) -> None:
    assert codes(tmp_path, up) == expected


# --------------------------------------------------------------------- anything

_VOCABULARY = """
    ALTER TABLE CREATE DROP COLUMN ADD INDEX CONCURRENTLY ON ONLY IF NOT EXISTS CONSTRAINT CHECK (
    ) , ; . "a" "" 'x' $$ b public TYPE SET DATA NULL DEFAULT VALUE RENAME TO WITH UPDATE DELETE
    FROM VACUUM FULL LOCK TRUNCATE REINDEX CASCADE UNIQUE USING VALIDATE [ ] 1 TRIGGER SCHEMA
    AUTHORIZATION PRIMARY KEY VALID DO /* --
"""
_WORDS = st.sampled_from([*_VOCABULARY.split(), "\n"])


@settings(max_examples=400, deadline=None)
@given(st.lists(_WORDS, max_size=25))
def test_no_statement_is_too_odd_to_be_looked_at(words: list[str]) -> None:
    sql = " ".join(words)
    for act in acts(sql, split(sql)):
        assert 0 <= act.start <= len(sql)


@settings(max_examples=150, deadline=None)
@given(st.lists(_WORDS, max_size=20), st.lists(_WORDS, max_size=20))
def test_no_migration_is_too_odd_for_the_rules(
    tmp_path_factory: pytest.TempPathFactory, up: list[str], down: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("odd")
    found(folder, " ".join(up), " ".join(up), down=" ".join(down))
