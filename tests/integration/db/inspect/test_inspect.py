"""Each thing that may be wrong is made wrong on a real server, and is named with what to do."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from stockctl.core.errors import DatabaseFailed
from stockctl.core.secret import Secret
from stockctl.db.inspect.limits import DEFAULTS, Limits
from stockctl.db.inspect.overview import Inspection, Part, inspect
from stockctl.db.inspect.reading import open_reader
from stockctl.system.postgres import Database

CANARY = "c4n4ry7f3a91x"
# statistics of a test are seconds old, its tables small
EAGER = replace(DEFAULTS, unused_after_s=0.0, unused_bytes=0)
# about the whole server, which other tests use at the same time
OF_ALL = {"connections", "connection_groups", "wraparound", "replication_slots"}


def run(database: Database, *statements: str) -> None:
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement.encode())


def rows(database: Database, part: Part, key: str, limits: Limits = EAGER) -> list[Any]:
    return list(inspect(database, [part], limits).section(key).rows)


def wanting(found: Inspection) -> dict[str, list[str]]:
    return {
        section.key: [row.advice for row in section.wanting]
        for section in found.sections
        if section.wanting and section.key not in OF_ALL
    }


def test_an_empty_database_wants_nothing(database: Database) -> None:
    found = inspect(database)
    assert wanting(found) == {}
    assert {section.part for section in found.sections} == set(Part)
    assert found.facts.database == database.dsn.database


def test_a_sound_database_wants_nothing(database: Database) -> None:
    run(
        database,
        "CREATE TABLE parent (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " name text UNIQUE)",
        "CREATE TABLE child (id bigserial PRIMARY KEY, parent_id bigint REFERENCES parent,"
        " other_id bigint REFERENCES parent, at timestamptz)",
        "CREATE INDEX child_parent ON child (parent_id, at)",
        "CREATE INDEX child_other ON child (other_id) WHERE other_id IS NOT NULL",
        "INSERT INTO parent (name) SELECT i::text FROM generate_series(1, 50000) i",
        "INSERT INTO child (parent_id) SELECT i FROM generate_series(1, 50000) i",
        "VACUUM ANALYZE",
    )
    assert wanting(inspect(database, limits=EAGER)) == {}


def test_an_unused_index(database: Database) -> None:
    run(
        database,
        'CREATE TABLE "T a" (id int PRIMARY KEY, x int UNIQUE, y int, z int)',
        'CREATE INDEX "Unused" ON "T a" (y)',
        'CREATE INDEX used ON "T a" (z)',
        'INSERT INTO "T a" SELECT i, i, i, i FROM generate_series(1, 5000) i',
        'ANALYZE "T a"',
        'SELECT * FROM "T a" WHERE z = 7',
    )
    [found] = rows(database, Part.INDEXES, "unused_indexes")
    assert found.index == 'public."Unused"'
    assert found.advice == 'DROP INDEX CONCURRENTLY public."Unused";'
    assert rows(database, Part.INDEXES, "unused_indexes", DEFAULTS) == []  # smaller than 1 MB


def test_on_a_young_server_nothing_is_called_unused_yet(database: Database) -> None:
    run(database, "CREATE TABLE a (x int)", "CREATE INDEX i ON a (x)")
    section = inspect(database, [Part.INDEXES], replace(EAGER, unused_after_s=7 * 86400)).section(
        "unused_indexes"
    )
    assert [row.advice[:16] for row in section.rows] == ["if still unused "]
    assert section.notes[0].advice == "drop nothing yet"


def test_duplicates_and_beginnings_of_others(database: Database) -> None:
    run(
        database,
        "CREATE TABLE a (x int PRIMARY KEY, y int, z int)",
        "CREATE INDEX a_x ON a (x)",
        "CREATE INDEX a_y ON a (y)",
        "CREATE INDEX a_y_z ON a (y, z)",
        "CREATE INDEX a_y_desc ON a (y DESC)",
        "CREATE INDEX a_y_part ON a (y) WHERE z = 1",
        "CREATE INDEX a_y_hash ON a USING hash (y)",
        "CREATE UNIQUE INDEX a_z ON a (z)",
        "CREATE INDEX a_z_y ON a (z, y)",
        "ALTER TABLE a ADD CONSTRAINT twice UNIQUE (x)",
    )
    found = {row.index: row for row in rows(database, Part.INDEXES, "duplicate_indexes")}
    assert {name: (row.kept, row.kind) for name, row in found.items()} == {
        "public.a_x": ("public.a_pkey", "duplicate"),
        "public.twice": ("public.a_pkey", "duplicate"),
        "public.a_y": ("public.a_y_z", "prefix"),
    }
    assert found["public.a_x"].advice == "DROP INDEX CONCURRENTLY public.a_x;"
    assert found["public.twice"].advice == "ALTER TABLE public.a DROP CONSTRAINT twice;"
    run(database, *(row.advice for row in found.values()))
    assert rows(database, Part.INDEXES, "duplicate_indexes") == []


def test_an_invalid_index(database: Database) -> None:
    run(database, "CREATE TABLE a (x int)", "INSERT INTO a VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(database, "CREATE UNIQUE INDEX CONCURRENTLY broken ON a (x)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        run(database, "REINDEX INDEX CONCURRENTLY broken")
    found = rows(database, Part.INDEXES, "invalid_indexes")
    assert [row.index for row in found] == ["public.broken", "public.broken_ccnew"]
    assert found[0].advice == (
        "remove what is there twice, then REINDEX INDEX CONCURRENTLY public.broken;"
    )
    assert found[1].advice == "DROP INDEX CONCURRENTLY public.broken_ccnew;"
    run(database, "DELETE FROM a", found[1].advice, found[0].advice.partition("then ")[2])
    assert rows(database, Part.INDEXES, "invalid_indexes") == []


def test_a_foreign_key_without_an_index(database: Database) -> None:
    run(
        database,
        "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b))",
        'CREATE TABLE c ("A" int, b int, d int, FOREIGN KEY ("A", b) REFERENCES p)',
        "CREATE INDEX does_not_help ON c (d, b)",
        "CREATE INDEX neither ON c (b) WHERE d = 1",
    )
    [found] = rows(database, Part.INDEXES, "unindexed_foreign_keys")
    assert (found.table, found.references) == ("public.c", "public.p")
    assert found.advice == 'CREATE INDEX CONCURRENTLY ON public.c ("A", b);'
    run(database, found.advice)
    assert rows(database, Part.INDEXES, "unindexed_foreign_keys") == []


def test_one_of_a_partitioned_table(database: Database) -> None:
    run(
        database,
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE c (id int REFERENCES p, at int) PARTITION BY RANGE (at)",
        "CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (9)",
    )
    [found] = rows(database, Part.INDEXES, "unindexed_foreign_keys")
    assert found.advice.startswith("CREATE INDEX ON ONLY public.c (id);")


def test_a_large_table_that_is_read_from_end_to_end(database: Database) -> None:
    run(
        database,
        "CREATE TABLE a (id int PRIMARY KEY, filler text)",
        "INSERT INTO a SELECT i, repeat('x', 500) FROM generate_series(1, 2000) i",
        "ANALYZE a",
        *["SELECT count(*) FROM a WHERE filler = 'y'"] * 60,
    )
    limits = replace(EAGER, scanned_bytes=1_000_000)
    [found] = rows(database, Part.INDEXES, "sequential_scans", limits)
    assert found.table == "public.a"
    assert 1900 < found.rows_a_scan <= 2000
    assert "ON public.a (" in found.advice
    assert rows(database, Part.INDEXES, "sequential_scans") == []  # it is not that large


def test_dead_rows_air_and_statistics(database: Database) -> None:
    fill = "SELECT i, repeat('x', 500) FROM generate_series(1, 40000) i"
    run(
        database,
        "CREATE TABLE dead (id int, filler text)",
        "ALTER TABLE dead SET (autovacuum_enabled = false)",
        f"INSERT INTO dead {fill}",
        "DELETE FROM dead WHERE id > 1000",
        "CREATE TABLE air (id int, filler text)",
        f"INSERT INTO air {fill}",
        "DELETE FROM air WHERE id < 39000",
    )
    run(database, "VACUUM ANALYZE air")  # in a session of its own: the DELETE is counted before
    advice = {row.table: row.advice for row in rows(database, Part.SIZES, "tables")}
    assert advice["public.dead"] == (
        "autovacuum is off: ALTER TABLE public.dead RESET (autovacuum_enabled);"
    )
    assert "VACUUM FULL public.air" in advice["public.air"]
    [air] = [row for row in rows(database, Part.SIZES, "tables") if row.table == "public.air"]
    assert 0.9 < air.free_bytes / air.table_bytes < 1  # an estimate: 97 % of the rows are gone
    run(database, "VACUUM FULL air", "ALTER TABLE dead RESET (autovacuum_enabled)")
    advice = {row.table: row.advice for row in rows(database, Part.SIZES, "tables")}
    assert advice["public.air"] == ""
    assert advice["public.dead"].startswith("VACUUM (ANALYZE) public.dead;")


def test_sequences_near_their_end(database: Database) -> None:
    run(
        database,
        "CREATE TABLE a (id serial, s smallint, i bigint GENERATED ALWAYS AS IDENTITY)",
        "SELECT setval('a_id_seq', 2000000000), setval('a_i_seq', 2000000000)",
        "CREATE SEQUENCE wide",  # bigint, feeding a smallint
        "ALTER TABLE a ALTER s SET DEFAULT nextval('wide')",
        "SELECT setval('wide', 30000)",
        "CREATE SEQUENCE capped MAXVALUE 100",
        "SELECT setval('capped', 90)",
        "CREATE SEQUENCE circle MAXVALUE 100 CYCLE",
        "SELECT setval('circle', 90)",
        "CREATE SEQUENCE down INCREMENT -1 MINVALUE -100",
        "SELECT setval('down', -99)",
        "CREATE SEQUENCE fresh",
    )
    found = {row.sequence: row for row in rows(database, Part.SIZES, "sequences")}
    assert set(found) == {"public.a_id_seq", "public.wide", "public.capped", "public.down"}
    serial, wide = found["public.a_id_seq"], found["public.wide"]
    assert (serial.column, serial.limit) == ("public.a.id", 2**31 - 1)
    assert serial.advice.startswith(
        "ALTER SEQUENCE public.a_id_seq AS bigint;"
        " ALTER TABLE public.a ALTER COLUMN id TYPE bigint;"
    )
    assert (wide.column_type, wide.limit, wide.sequence_type) == ("smallint", 32767, "bigint")
    assert wide.advice.startswith("ALTER TABLE public.a ALTER COLUMN s TYPE bigint;")
    assert found["public.capped"].advice == "ALTER SEQUENCE public.capped NO MAXVALUE;"
    run(database, serial.advice.partition(" (")[0])
    left = {row.sequence for row in rows(database, Part.SIZES, "sequences")}
    assert "public.a_id_seq" not in left


Open = Callable[[str], psycopg.Connection[Any]]


@pytest.fixture
def client(database: Database) -> Iterator[Open]:
    """`client("name")`: a session that stays open, in a transaction from its first statement."""
    with ExitStack() as stack:

        def begin(name: str) -> psycopg.Connection[Any]:
            connection = database.connect()
            stack.callback(connection.close)
            connection.execute(f"SET application_name = '{name}'".encode())
            connection.execute("SET client_min_messages = warning")
            connection.autocommit = False
            return connection

        yield begin


def until(ready: Callable[[], bool]) -> None:
    for _ in range(300):
        if ready():
            return
        time.sleep(0.02)
    pytest.fail("it did not come to that")


def test_three_who_wait_for_one_another(database: Database, client: Open) -> None:
    run(database, "CREATE TABLE a (x int)", "CREATE TABLE b (x int)")
    holder, middle, last = (client(name) for name in ("holder", "middle", "last"))
    holder.execute("LOCK a IN SHARE MODE")
    holder.execute(f"SELECT '{CANARY}'".encode())
    middle.execute("LOCK b")
    threads = [
        threading.Thread(target=middle.execute, args=(f"INSERT INTO a SELECT 1 -- {CANARY}",)),
        threading.Thread(target=last.execute, args=(f"DELETE FROM b WHERE x::text = '{CANARY}'",)),
    ]
    for thread in threads:
        thread.start()
    until(lambda: len(rows(database, Part.LOCKS, "locks")) == 3)
    found = rows(database, Part.LOCKS, "locks")
    holder.rollback()
    threads[0].join()
    middle.rollback()
    threads[1].join()
    assert [(row.application, row.depth, row.blocks) for row in found] == [
        ("holder", 0, 2),
        ("middle", 1, 1),
        ("last", 2, 0),
    ]
    assert found[1].waits_for == "RowExclusive on public.a"
    assert found[1].blocked_by == (found[0].pid,)
    assert found[2].blocked_by == (found[1].pid,)
    assert found[2].query == "DELETE FROM b WHERE x::text = ?"
    assert f"SELECT pg_terminate_backend({found[0].pid});" in found[0].advice
    assert found[1].waiting_s is not None and found[1].waiting_s < 60
    assert CANARY not in str([asdict(row) for row in found])
    assert rows(database, Part.LOCKS, "locks") == []


def test_transactions_that_are_open_for_long(database: Database, client: Open) -> None:
    run(database, "CREATE TABLE a (x text)")
    forgotten, busy = client("forgotten"), client("busy")
    forgotten.execute(f"INSERT INTO a VALUES ('{CANARY}')".encode())

    def work() -> None:
        with suppress(psycopg.errors.QueryCanceled):
            busy.execute("SELECT pg_sleep(60)")

    working = threading.Thread(target=work)
    limits = replace(DEFAULTS, active_s=0.0, idle_in_transaction_s=0.0)
    working.start()
    until(lambda: len(rows(database, Part.CONNECTIONS, "long_sessions", limits)) == 2)
    found = {r.application: r for r in rows(database, Part.CONNECTIONS, "long_sessions", limits)}
    assert found["forgotten"].state == "idle in transaction"
    assert found["forgotten"].query == "INSERT INTO a VALUES (?)"
    terminate = f"SELECT pg_terminate_backend({found['forgotten'].pid});"
    assert found["forgotten"].advice.startswith(terminate)
    assert found["busy"].advice.startswith(f"SELECT pg_cancel_backend({found['busy'].pid});")
    assert rows(database, Part.CONNECTIONS, "long_sessions") == []  # not that long yet
    busy.cancel_safe()
    working.join()


def test_connections_against_the_limit(database: Database, client: Open) -> None:
    client("shop").execute("SELECT 1")
    found = inspect(database, [Part.CONNECTIONS])
    [room] = found.section("connections").rows
    shown = asdict(room)  # type: ignore[call-overload]
    assert shown["used"] >= 2
    assert shown["reserved"] >= 3
    groups = [asdict(row) for row in found.section("connection_groups").rows]  # type: ignore[call-overload]
    ours = [g for g in groups if g["database"] == database.dsn.database]
    assert [(g["application"], g["state"], g["count"]) for g in ours] == [
        ("shop", "idle in transaction", 1)
    ]
    crowded = replace(DEFAULTS, connections_share=0.0)
    [row] = rows(database, Part.CONNECTIONS, "connections", crowded)
    assert "PgBouncer" in row.advice


def test_a_slot_that_nobody_reads(database: Database) -> None:
    name = f"slot_{uuid.uuid4().hex[:8]}"
    run(database, f"SELECT pg_create_physical_replication_slot('{name}', true)")
    try:
        found = rows(database, Part.SIZES, "replication_slots", replace(DEFAULTS, slot_bytes=0))
        [advice] = [row.advice for row in found if row.slot == name]
        assert advice.endswith(f"SELECT pg_drop_replication_slot('{name}');")
        found = rows(database, Part.SIZES, "replication_slots")
        assert [row.advice for row in found if row.slot == name] == [""]
    finally:
        run(database, f"SELECT pg_drop_replication_slot('{name}')")


def test_how_old_the_statistics_are(database: Database) -> None:
    """No older than the database; a reset is seen."""
    assert inspect(database, [Part.LOCKS]).facts.counted_s < 300
    before = inspect(database, [Part.LOCKS]).facts.counted_since
    run(database, "SELECT pg_stat_reset()")
    assert inspect(database, [Part.LOCKS]).facts.counted_since > before
    with database.connect() as connection:
        found = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
    assert found is not None and before > found[0]


def test_every_database_tells_its_age(database: Database) -> None:
    found = rows(database, Part.SIZES, "wraparound", replace(DEFAULTS, wraparound_share=0.0))
    ages = {row.name: row for row in found if row.kind == "database"}
    assert ages[database.dsn.database].transactions > 0
    assert any(row.advice.startswith("VACUUM (FREEZE") for row in found if row.kind == "table")


def test_how_to_have_queries_counted(database: Database) -> None:
    """The wheel's server comes without it; another that has it: test_statements.py."""
    section = inspect(database, [Part.SLOW]).section("slow_queries")
    assert section.rows == ()
    assert "postgresql-contrib" in section.notes[0].advice


def test_it_changes_nothing_and_waits_for_nobody(database: Database, client: Open) -> None:
    run(database, "CREATE TABLE a (x int)")
    with open_reader(database) as reader:
        for name in ("transaction_read_only", "default_transaction_read_only"):
            assert reader.rows(f"SHOW {name}") == [("on",)]
        assert reader.rows("SHOW statement_timeout") == [("15s",)]
        assert reader.rows("SHOW lock_timeout") == [("1s",)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.rows("INSERT INTO public.a VALUES (1) RETURNING x")
        assert reader.rows("SELECT 1") == [(1,)]  # one that failed stops none of the others
    with pytest.raises(DatabaseFailed), open_reader(database) as reader:
        reader.rows("SELECT nonsense")


def test_a_locked_table_hides_nothing_but_sizes(database: Database, client: Open) -> None:
    run(database, "CREATE TABLE a (x int)", "CREATE TABLE b (x int)")
    client("exclusive").execute("LOCK a")
    found = inspect(database, [Part.CONNECTIONS, Part.SIZES])
    [note] = found.section("tables").notes
    assert "lock timeout" in note.message
    assert "--locks" in note.advice
    assert found.section("wraparound").rows


def test_a_role_of_no_rank_sees_what_it_may(database: Database, client: Open) -> None:
    role = f"r_{uuid.uuid4().hex[:8]}"
    run(database, f"CREATE ROLE {role} LOGIN", "CREATE TABLE a (x int)")
    try:
        client("somebody").execute(f"SELECT '{CANARY}'".encode())
        lowly = Database(replace(database.dsn, user=role, password=Secret("")), database.tools)
        found = inspect(lowly)
        assert [note.advice for note in found.notes] == [
            f"GRANT pg_monitor TO {role}; as a superuser"
        ]
        assert wanting(found) == {}
        run(database, f"GRANT pg_monitor TO {role}")
        assert inspect(lowly).notes == ()
    finally:
        with database.connect() as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
