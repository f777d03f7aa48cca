"""Cut short at every point: nothing half-done is listed, the live database is as it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.integration.backup.kills import children, killed

from stockctl.backup.prune import prune
from stockctl.backup.retention import Policy, plan_prune
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.backup.swap import free_name, kept
from stockctl.core.errors import (
    BackupInvalid,
    DatabaseFailed,
    Locked,
    PersonNeeded,
    StoreFailed,
    Terminated,
    ToolFailed,
)
from stockctl.core.progress import Event, Message
from stockctl.system.host import Holder
from stockctl.system.postgres import Database

CREATE_POINTS = [
    "StepStarted snapshot",
    "StepEnded snapshot",
    "StepStarted dump",
    "Transferred dump",
    "StepEnded dump",
    "StepStarted verify",
    "StepEnded verify",
]
RESTORE_POINTS = [
    "StepStarted check",
    "StepStarted create",
    "StepEnded create",
    "Transferred restore",
    "StepEnded restore",
    "StepStarted analyze",
    "StepStarted carry over",
    "StepStarted swap",
    "Line",
]
ROWS = 20_000
HOLDER = Holder("bert@desk", "backup prune", datetime(2026, 11, 22, 3, tzinfo=UTC))


def at(point: str, act: Callable[[], None]) -> Callable[[Event], None]:
    """A Reporter that acts at the first event of that kind."""
    left = [act]

    def report(event: Event) -> None:
        if left and f"{type(event).__name__} {getattr(event, 'name', '')}".strip() == point:
            left.pop()()

    return report


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("point", CREATE_POINTS)
def test_kill_during_create(bench: Any, point: str) -> None:
    bench.fill(ROWS)
    earlier = bench.create()
    killed(bench, "create", point)
    assert bench.catalogue().backups == (earlier,)
    assert bench.catalogue().invalid == ()
    later = bench.create()
    assert bench.files() == bench.files_of(earlier, later)
    bench.restore(earlier.id)
    assert bench.items() == ROWS


@pytest.mark.parametrize(
    ("rerun", "point"),
    [("restore", point) for point in RESTORE_POINTS]
    + [("create", point) for point in ("StepEnded create", "Transferred restore", "Line")],
)
def test_kill_during_restore(bench: Any, rerun: str, point: str) -> None:
    bench.fill(ROWS)
    bench.create()
    bench.run("INSERT INTO item VALUES (0, 'later')")
    killed(bench, "restore", point)
    live = bench.database.dsn.database
    assert bench.databases()[live] == (point != "Line")
    if rerun == "create":
        bench.create()
        assert bench.items() == ROWS + 1
        assert bench.databases() == {live: True}
    else:
        done = bench.restore()
        assert bench.items() == ROWS
        assert bench.databases() == {live: True, done.previous_database: True}


def test_kill_right_after_the_swap(bench: Any) -> None:
    bench.fill(ROWS)
    bench.create()
    bench.run("INSERT INTO item VALUES (0, 'later')")
    killed(bench, "restore", "StepEnded swap")
    assert bench.items() == ROWS
    bench.create()
    assert list(bench.databases().values()) == [True, True]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated()])
@pytest.mark.parametrize("point", CREATE_POINTS)
def test_interrupted_create(bench: Any, point: str, error: BaseException) -> None:
    bench.fill(ROWS)
    with pytest.raises(type(error)):
        bench.on(at(point, raising(error))).create()
    assert not bench.store.path.exists() or bench.files() == []
    bench.create()


@pytest.mark.parametrize("point", RESTORE_POINTS)
def test_interrupted_restore(bench: Any, point: str) -> None:
    bench.fill(ROWS)
    bench.create()
    bench.run("INSERT INTO item VALUES (0, 'later')")
    with pytest.raises(KeyboardInterrupt):
        bench.on(at(point, raising(KeyboardInterrupt()))).restore()
    assert bench.items() == ROWS + 1
    assert bench.databases() == {bench.database.dsn.database: True}


def test_interrupted_when_the_swap_was_done(bench: Any) -> None:
    bench.fill(10)
    bench.create()
    said: list[Event] = []
    interrupt = at("StepEnded swap", raising(KeyboardInterrupt()))

    def report(event: Event) -> None:
        said.append(event)
        interrupt(event)

    with pytest.raises(KeyboardInterrupt):
        bench.on(report).restore()
    assert any(isinstance(e, Message) and "already done" in e.text for e in said)


def test_pg_dump_killed_half_way_publishes_nothing(sealed: Any) -> None:
    sealed.fill(ROWS)

    def kill_pg_dump() -> None:
        (pid,) = children("pg_dump")
        os.kill(pid, signal.SIGKILL)

    for recipients in ((), sealed.recipients):
        with pytest.raises(ToolFailed, match="signal 9"):
            sealed.on(at("Transferred dump", kill_pg_dump)).create(recipients=recipients)
        assert sealed.files() == []


def test_pg_restore_killed_half_way(bench: Any) -> None:
    bench.fill(ROWS)
    bench.create()

    def kill_pg_restore() -> None:
        (pid,) = children("pg_restore")
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(ToolFailed, match="signal 9"):
        bench.on(at("Transferred restore", kill_pg_restore)).restore()
    assert bench.databases() == {bench.database.dsn.database: True}


def test_two_at_once(bench: Any) -> None:
    bench.fill(10)
    bench.create()
    caught: list[Locked] = []

    def second() -> None:
        for verb in (bench.create, bench.restore):
            with pytest.raises(Locked) as error:
                verb()
            caught.append(error.value)

    bench.on(at("StepStarted dump", second)).create()
    assert len(bench.catalogue().backups) == 2
    assert "anna@desk" in caught[0].message


@pytest.mark.parametrize("point", ["StepStarted dump", "StepEnded dump", "StepStarted verify"])
def test_two_host_directories_with_one_store(bench: Any, point: str) -> None:
    """Their host locks know nothing of each other; the object of one is no orphan to the other."""
    bench.fill(10)
    first = bench.create()
    theirs = replace(bench, directory=bench.directory.with_name("other"))
    caught: list[Locked] = []

    def second() -> None:
        for verb in (theirs.create, theirs.restore):
            with pytest.raises(Locked) as error:
                verb()
            caught.append(error.value)

    made = bench.on(at(point, second)).create()
    assert set(bench.catalogue().backups) == {made, first}
    assert all(str(bench.store.path) in each.message for each in caught)
    theirs.restore(made.id)
    assert len(caught) == 2


def test_nothing_is_pruned_while_it_is_restored(bench: Any) -> None:
    bench.fill(10)
    old, new = bench.create(), bench.create()
    later = replace(new, created_at=new.created_at + timedelta(seconds=1))
    plan = plan_prune((old, later), Policy(last=1), later.created_at)
    caught: list[Locked] = []

    def second() -> None:
        ports = {**bench.ports(), "directory": bench.directory.with_name("other")}
        del ports["clock"]
        with pytest.raises(Locked) as error:
            prune(plan, bench.store, lock_holder=HOLDER, **ports)
        caught.append(error.value)

    bench.on(at("StepStarted create", second)).restore(old.id)
    assert caught


class FullStore(DirectoryStore):
    """Takes a little and then no more."""

    def open_writer(self, name: str, expected_bytes: int = 0) -> Any:  # noqa: ARG002
        raise StoreFailed(f"cannot write {name}: the disk is full")


def test_a_full_store(bench: Any) -> None:
    bench.fill(10)
    earlier = bench.create()
    bench.store = FullStore(bench.store.path)
    with pytest.raises(StoreFailed, match="full"):
        bench.create()
    assert bench.catalogue().backups == (earlier,)


def test_a_damaged_object_changes_nothing(bench: Any) -> None:
    bench.fill(ROWS)
    backup = bench.create()
    path = bench.store.path / backup.object
    broken = bytearray(path.read_bytes())
    broken[len(broken) // 2] ^= 1
    path.write_bytes(bytes(broken))
    with pytest.raises(BackupInvalid, match=backup.id):
        bench.restore()
    assert bench.databases() == {bench.database.dsn.database: True}


def test_other_rows_than_the_manifest_says(bench: Any) -> None:
    bench.fill(10)
    backup = bench.create()
    lying = replace(backup, fingerprint=(("public.item", 11),))
    bench.store.put(lying.manifest, lying.to_json())
    with pytest.raises(BackupInvalid) as caught:
        bench.restore()
    assert caught.value.details == "public.item: 11 rows expected, 10 rows found"
    assert bench.databases() == {bench.database.dsn.database: True}


def test_what_bears_no_mark_is_never_dropped(bench: Any) -> None:
    bench.fill(1)
    name = f"{bench.database.dsn.database}_restore_20200101t000000z"
    bench.run(f"CREATE DATABASE {name}")
    bench.run(f"COMMENT ON DATABASE {name} IS 'mine'")
    said: list[Event] = []
    bench.on(said.append).create()
    bench.restore()
    assert name in bench.databases()
    assert any(isinstance(e, Message) and name in e.text for e in said)


def test_row_security_does_not_hide_rows(bench: Any) -> None:
    bench.fill(10)
    role = f"{bench.database.dsn.database}_r"
    bench.run(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON item TO {role}")
    bench.run("ALTER TABLE item ENABLE ROW LEVEL SECURITY")
    dsn = replace(bench.database.dsn, user=role)
    weak = replace(bench, database=replace(bench.database, dsn=dsn))
    try:
        with pytest.raises(DatabaseFailed, match="count the rows"):
            weak.create()
    finally:
        bench.run(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert bench.files() == []


@dataclass(frozen=True)
class SecondCtrlC(Database):
    """Each of `fuses` interrupts one attempt to connect."""

    fuses: list[BaseException] = field(default_factory=list)

    def connect(self) -> Any:
        if self.fuses:
            raise self.fuses.pop()
        return super().connect()


def interrupted_twice(bench: Any, point: str, *fuses: BaseException) -> Any:
    """The same bench, interrupted at `point` and again at each of the next connections."""
    database = SecondCtrlC(bench.database.dsn, bench.database.tools)

    def first() -> None:
        database.fuses.extend(fuses)
        raise KeyboardInterrupt

    return replace(bench, database=database).on(at(point, first))


@pytest.mark.parametrize(
    ("fuses", "state"),
    [
        ([KeyboardInterrupt()], "is closed to connections"),
        ([Terminated()], "is closed to connections"),
        ([KeyboardInterrupt(), KeyboardInterrupt()], "may be closed to connections"),
    ],
)
def test_a_second_ctrl_c_in_the_swap_takes_a_person(
    bench: Any, fuses: list[BaseException], state: str
) -> None:
    bench.fill(10)
    bench.create()
    live = bench.database.dsn.database
    with pytest.raises(PersonNeeded, match=f"{live} {state}") as caught:
        interrupted_twice(bench, "Line", *fuses).restore()
    assert isinstance(caught.value.__cause__, KeyboardInterrupt)
    assert "stockctl backup create prod" in caught.value.hint
    assert "interrupted" in caught.value.details
    assert bench.databases()[live] is False
    bench.create()
    assert bench.databases() == {live: True}
    assert bench.items() == 10


def test_a_second_ctrl_c_after_the_swap_says_what_to_look_for(bench: Any) -> None:
    bench.fill(10)
    bench.create()
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted_twice(bench, "StepEnded swap", KeyboardInterrupt()).restore()
    (note,) = caught.value.__notes__
    live = bench.database.dsn.database
    (previous,) = bench.databases().keys() - {live}
    assert f"{live} is open" in note
    assert f"if there is a {previous}" in note


def test_a_second_ctrl_c_before_the_swap_leaves_only_the_copy(bench: Any) -> None:
    bench.fill(10)
    bench.create()
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted_twice(bench, "StepStarted analyze", KeyboardInterrupt()).restore()
    assert "left for the next run" in caught.value.__notes__[0]
    live = bench.database.dsn.database
    assert bench.databases()[live] is True
    bench.create()
    assert bench.databases() == {live: True}


def test_nothing_idles_while_the_copy_is_filled(bench: Any) -> None:
    """A connection that was idle through all of it may be dead without anybody having said so."""
    bench.fill(10)
    bench.create()
    server = replace(bench, database=bench.database.to("postgres"))
    ours = f"FROM pg_stat_activity WHERE query LIKE '%{bench.database.dsn.database}%'"
    idle: list[Any] = []

    def look() -> None:
        idle.extend(
            server.run(f"SELECT query {ours} AND datname = current_database() AND state = 'idle'")
        )

    bench.on(at("Transferred restore", look)).restore()
    assert idle == []


@pytest.mark.parametrize("look", [kept, partial(free_name, what="before", now=datetime.now(UTC))])
def test_a_server_that_is_gone_is_a_failure_of_the_database(
    bench: Any, look: Callable[..., object]
) -> None:
    with bench.database.connect() as connection:
        connection.close()
        with pytest.raises(DatabaseFailed, match="cannot list the databases"):
            look(connection, live="stock")
