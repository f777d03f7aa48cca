"""The swap: under load, with everything that belongs to a database carried over."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stockctl.backup.properties import describe
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.backup.swap import kept
from stockctl.core.errors import PersonNeeded, Refused
from stockctl.core.progress import Event, Line, StepStarted
from stockctl.system.embedded import serve
from stockctl.system.postgres import Database

WRITERS = 6


class Writers:
    """Clients that insert all the time, and reconnect when they are thrown out."""

    def __init__(self, database: Database) -> None:
        self._parameters = database.dsn.parameters()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(WRITERS)]
        self.written: list[float] = []

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        self.wait_for(20)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        target, deadline = len(self.written) + more, time.monotonic() + 30
        while len(self.written) < target and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.written) >= target, "the writers did not come back"

    def _write(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(**self._parameters, autocommit=True) as connection:
                    while not self._stop.is_set():
                        connection.execute("INSERT INTO item VALUES (-1, 'w')")
                        self.written.append(time.monotonic())
            except psycopg.Error:
                time.sleep(0.001)

    def longest_silence_s(self) -> float:
        moments = sorted(self.written)
        return max(after - before for before, after in itertools.pairwise(moments))


def test_writers_come_back_to_the_new_one(bench: Any) -> None:
    bench.fill(5000)
    bench.create()
    with Writers(bench.database) as writers:
        done = bench.restore()
        writers.wait_for(50)
    ours = bench.run("SELECT count(*) FROM item WHERE id > 0")[0][0]
    theirs = bench.run("SELECT count(*) FROM item WHERE id = -1")[0][0]
    assert ours == 5000
    assert 50 <= theirs < len(writers.written)
    old = replace(bench, database=bench.database.to(done.previous_database))
    assert old.run("SELECT count(*) FROM item WHERE id = -1")[0][0] + theirs >= len(writers.written)
    assert 0 < done.outage_s < 5
    assert writers.longest_silence_s() < 8
    assert done.lost_window_s >= 0


@pytest.fixture
def roles(bench: Any) -> Iterator[tuple[str, str, str]]:
    name = bench.database.dsn.database
    names = (f"{name}_owner", f'{name}_"App"', f"{name}_read")
    quoted = tuple('"' + each.replace('"', '""') + '"' for each in names)
    for role in quoted:
        bench.run(f"CREATE ROLE {role}")
    yield quoted
    server = replace(bench, database=bench.database.to("postgres"))
    for database in bench.databases():
        server.run(f'ALTER DATABASE "{database}" OWNER TO CURRENT_USER')
        inside = replace(bench, database=bench.database.to(database))
        for role in reversed(quoted):
            inside.run(f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role} CASCADE")
    for role in quoted:
        server.run(f"DROP ROLE {role}")


def test_what_belongs_to_the_database_is_carried_over(bench: Any, roles: tuple[str, ...]) -> None:
    owner, app, read = roles
    name = bench.database.dsn.database
    bench.run(f"ALTER DATABASE {name} OWNER TO {owner}")
    for statement in (
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {app} WITH GRANT OPTION",
        f"SET ROLE {app}; GRANT CONNECT ON DATABASE {name} TO {read}; RESET ROLE",
        f"ALTER DATABASE {name} CONNECTION LIMIT 17",
        f"""ALTER DATABASE {name} SET search_path TO "$user", public, 'a, "b', "C" """,
        f"""ALTER DATABASE {name} SET "my.setting" TO E'it''s = \\\\ x'""",
        f"ALTER DATABASE {name} SET statement_timeout = '15s'",
        f"ALTER ROLE {app} IN DATABASE {name} SET work_mem = '5MB'",
        f"COMMENT ON DATABASE {name} IS 'the \"one\"'",
    ):
        bench.run(statement)
    bench.fill(100)
    before = describe_live(bench)
    bench.create()
    done = bench.restore()
    assert describe_live(bench) == before
    assert len(before.grants) == 6
    with bench.database.to("postgres").connect() as connection:
        assert kept(connection, name) == (done.previous_database,)


def describe_live(bench: Any) -> Any:
    with bench.database.to("postgres").connect() as connection:
        return describe(connection, bench.database.dsn.database)


@pytest.mark.parametrize(
    "options",
    [
        "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'",
        "ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc",
    ],
)
def test_locale_and_encoding(bench: Any, options: str) -> None:
    name = f"{bench.database.dsn.database}_l"
    bench.run(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
    bench.database = bench.database.to(name)
    bench.fill(10)
    before = describe_live(bench)
    bench.create()
    bench.restore()
    assert describe_live(bench) == before


def test_objects_belong_to_the_owner(bench: Any, roles: tuple[str, ...]) -> None:
    owner = roles[0]
    bench.run(f"ALTER DATABASE {bench.database.dsn.database} OWNER TO {owner}")
    bench.fill(10)
    bench.create()
    bench.restore()
    assert bench.run("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'item'") == [
        (owner.strip('"'),)
    ]


def test_an_owner_without_superuser_can_do_it_all(bench: Any, roles: tuple[str, ...]) -> None:
    owner = roles[0]
    bench.run(f"ALTER ROLE {owner} LOGIN CREATEDB")
    bench.run(f"ALTER DATABASE {bench.database.dsn.database} OWNER TO {owner}")
    dsn = replace(bench.database.dsn, user=owner.strip('"'))
    weak = replace(bench, database=replace(bench.database, dsn=dsn))
    weak.fill(10)
    weak.create()
    weak.run("DELETE FROM item")
    weak.restore()
    assert weak.items() == 10


def test_the_plan_says_what_will_be_lost(bench: Any, roles: tuple[str, ...]) -> None:
    bench.fill(10)
    bench.run("CREATE TABLE mine (id int)")
    bench.create()
    bench.run("INSERT INTO item VALUES (0, 'later')")
    plain = bench.plan()
    assert (plain.live_rows, plain.warnings, plain.kept_before) == (11, (), ())
    assert plain.lost_window_s > 0
    bench.run(f"GRANT SELECT ON item TO {roles[1]}")
    assert bench.plan().warnings == ()  # it comes back
    done = bench.restore()
    assert bench.plan().kept_before == (done.previous_database,)


@pytest.fixture
def own(mortal: Path) -> Iterator[Database]:
    """A server of the test's own, with prepared transactions."""
    with serve(mortal) as database, database.connect() as connection:
        connection.execute("ALTER SYSTEM SET max_prepared_transactions = 3")
    with serve(mortal) as database:
        yield database


def test_prepared_transactions_and_a_missing_postgres(bench: Any, own: Database) -> None:
    mine = replace(bench, database=own, store=DirectoryStore(bench.store.path / "own"))
    mine.fill(10)
    with own.to("template1").connect() as connection:
        connection.execute("DROP DATABASE postgres")
    mine.create()
    mine.run("BEGIN; DELETE FROM item; PREPARE TRANSACTION 'later'")
    with pytest.raises(Refused) as caught:
        mine.restore()
    assert caught.value.details == "later"
    mine.run("COMMIT PREPARED 'later'")

    def prepare(event: Event) -> None:
        if isinstance(event, StepStarted) and event.name == "carry over":
            mine.run("BEGIN; INSERT INTO item VALUES (0, 'x'); PREPARE TRANSACTION 'late'")

    with Writers(own) as writers, pytest.raises(Refused) as caught:
        mine.on(prepare).restore()
    assert caught.value.details == "late"
    assert mine.run("SELECT datname FROM pg_database WHERE datname LIKE '%_restore_%'") == []
    assert mine.run("SELECT count(*) FROM item WHERE id = -1") == [(len(writers.written),)]
    mine.run("COMMIT PREPARED 'late'")
    mine.restore()
    assert mine.items() == 10


def test_a_server_that_dies_in_the_swap(bench: Any, mortal: Path) -> None:
    """The one case that takes a person, and the next run mends it when the server is back."""
    folder = mortal

    def stop_the_server(event: Event) -> None:
        if isinstance(event, Line):
            pid = int((folder / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGINT)
            while (folder / "postmaster.pid").exists():
                time.sleep(0.01)

    with serve(folder) as database:
        mine = replace(bench, database=database)
        mine.fill(10)
        mine.create()
        with pytest.raises(PersonNeeded) as caught:
            mine.on(stop_the_server).restore()
    assert "ALLOW_CONNECTIONS true" in caught.value.hint
    with serve(folder) as database:
        mine = replace(bench, database=database)
        assert mine.databases()[database.dsn.database] is False
        mine.create()
        assert mine.items() == 10
        assert mine.databases() == {database.dsn.database: True}
