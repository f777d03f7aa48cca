"""Rows that are restored while they are decoded, and what follows them in parallel jobs."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.backup.kills import children

from stockctl.core.errors import BackupInvalid, ToolFailed
from stockctl.core.progress import Event, Transferred

ROWS = 60_000  # some MB: more than pipes and buffers hold
MADE = """
CREATE SEQUENCE numbers; SELECT setval('numbers', 41);
CREATE TABLE owner (id int PRIMARY KEY, at timestamptz DEFAULT now());
INSERT INTO owner SELECT generate_series(0, 9);
ALTER TABLE item ADD PRIMARY KEY (id), ADD owner int REFERENCES owner;
UPDATE item SET owner = id % 10;
CREATE INDEX by_owner ON item (owner DESC) WHERE id > 5;
CREATE VIEW seen AS SELECT id FROM item WHERE owner = 3;
CREATE MATERIALIZED VIEW counted AS SELECT owner, count(*) FROM item GROUP BY 1;
CREATE UNIQUE INDEX ON counted (owner);
CREATE TABLE part (id int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (9);
CREATE INDEX ON part (id); INSERT INTO part VALUES (3);
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER no BEFORE INSERT ON owner FOR EACH ROW EXECUTE FUNCTION no();
SELECT lo_from_bytea(0, 'large');
"""
STATE = """
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint
UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT pg_get_viewdef('seen') UNION ALL SELECT nextval('numbers')::text
UNION ALL SELECT c::text FROM counted c UNION ALL SELECT count(*)::text FROM item
UNION ALL SELECT sum(owner)::text FROM item UNION ALL SELECT id::text FROM part
UNION ALL SELECT encode(data, 'escape') FROM pg_largeobject
ORDER BY 1
"""


def damage(path: Path, at: float, *, lost: bool = False) -> None:
    """One bit at that part of the file, or all that follows. Its size, which is looked at before,
    stays."""
    data = bytearray(path.read_bytes())
    place = int(len(data) * at)
    data[place] ^= 1
    if lost:
        data[place:] = bytes(len(data) - place)
    path.write_bytes(data)


def test_all_of_it_comes_back_and_nothing_is_written_beside(sealed: Any) -> None:
    sealed.fill(ROWS)
    sealed.run(MADE)
    sealed.create()
    before = sealed.run(STATE)
    done: list[Transferred] = []

    def look(event: Event) -> None:
        if isinstance(event, Transferred) and event.name == "restore":
            done.append(event)
        assert [path.name for path in sealed.directory.iterdir()] == ["backup.lock"]

    sealed.on(look).restore(jobs=2, streamed=True)
    after = sealed.run(STATE)
    assert after == before
    assert len(done) > 3
    assert all(0 <= each.done <= (each.total or 0) for each in done)


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("at", [0.001, 0.5, 0.9999])
def test_a_damaged_backup_is_named_as_the_reason(
    sealed: Any, encrypted: bool, lost: bool, at: float
) -> None:
    """Also where rows were restored already, and where pg_restore stumbles first."""
    sealed.fill(ROWS)
    backup = sealed.create() if encrypted else sealed.create(recipients=())
    damage(sealed.store.path / backup.object, at, lost=lost)
    with pytest.raises(BackupInvalid, match=backup.id):
        sealed.restore(jobs=2, streamed=True)
    assert sealed.databases() == {sealed.database.dsn.database: True}
    assert sealed.items() == ROWS


def test_what_pg_restore_says_of_a_sound_backup_is_passed_on(bench: Any) -> None:
    bench.fill(ROWS)
    bench.run("ALTER TABLE item ADD CONSTRAINT never CHECK (current_user !~ '^stockctl_restore')")
    bench.create()
    with pytest.raises(ToolFailed, match="pg_restore") as caught:
        bench.restore(jobs=2, streamed=True)
    assert "never" in caught.value.details
    assert bench.databases() == {bench.database.dsn.database: True}


@pytest.mark.parametrize("number", [1, 2])
def test_killed_while_rows_come_or_afterwards(bench: Any, number: int) -> None:
    bench.fill(ROWS)
    bench.run(MADE)
    bench.create()
    killed: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, Transferred) and event.name == "restore":
            for pid in children("pg_restore"):
                if pid not in killed and len(killed) < number:
                    killed.append(pid)
                    if len(killed) == number:
                        os.kill(pid, signal.SIGKILL)

    with pytest.raises(ToolFailed, match="signal 9"):
        bench.on(kill).restore(jobs=2, streamed=True)
    assert bench.databases() == {bench.database.dsn.database: True}
