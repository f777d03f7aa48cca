"""One table comes back beside the live one; a backup that somebody has as files is a source."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.backup.conftest import HOLDER

from stockctl.backup.stores.file import is_file, open_file
from stockctl.backup.table import TableBack, choose_table, restore_table
from stockctl.core.errors import BackupInvalid, UsageError
from stockctl.core.progress import Event


def back(bench: Any, table: str, backup: Any) -> TableBack:
    return restore_table(
        backup,
        choose_table(backup, table),
        bench.database,
        bench.store,
        identity_file=bench.identity_file,
        lock_holder=HOLDER,
        **bench.ports(),
    )


def test_its_rows_come_back_and_nothing_else_changes(sealed: Any) -> None:
    sealed.fill(50)
    sealed.run(
        "CREATE TYPE mood AS ENUM ('well', 'ill');"
        'CREATE TABLE "Odd %s" (id int PRIMARY KEY, m mood, "a b" text[], gone int);'
        'ALTER TABLE "Odd %s" DROP COLUMN gone;'
        "INSERT INTO \"Odd %s\" SELECT n, 'ill', '{x,\"y\\t\"}' FROM generate_series(1, 7) n"
    )
    backup = sealed.create()
    sealed.run('DELETE FROM "Odd %s" WHERE id > 2; DELETE FROM item')
    done = back(sealed, 'public."Odd %s"', backup)
    assert (done.restored, done.rows) == ('public."Odd %s_restored"', 7)
    lost = sealed.run('TABLE "Odd %s_restored" EXCEPT TABLE "Odd %s"')
    assert sorted(lost) == [(n, "ill", ["x", "yt"]) for n in range(3, 8)]
    assert sealed.run('SELECT count(*) FROM "Odd %s"') == [(2,)]
    assert sealed.items() == 0
    assert sealed.databases() == {sealed.database.dsn.database: True}
    assert back(sealed, 'public."Odd %s"', backup).restored == 'public."Odd %s_restored_2"'


def test_a_table_that_was_dropped(bench: Any) -> None:
    bench.fill(20)
    backup = bench.create()
    bench.run("DROP TABLE item")
    assert back(bench, "item", backup).restored == "public.item_restored"
    assert bench.run("SELECT count(*) FROM item_restored") == [(20,)]


def test_interrupted_there_is_no_new_table(bench: Any) -> None:
    bench.fill(20)
    backup = bench.create()

    def stop(event: Event) -> None:
        if type(event).__name__ == "StepStarted" and getattr(event, "name", "") == "copy":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back(bench.on(stop), "item", backup)
    assert bench.run("SELECT to_regclass('item_restored')") == [(None,)]
    assert bench.databases() == {bench.database.dsn.database: True}


def test_which_table(bench: Any) -> None:
    bench.run("CREATE TABLE a (id int); CREATE SCHEMA s; CREATE TABLE s.a (id int)")
    backup = bench.create()
    assert choose_table(backup, "s.a") == "s.a"
    with pytest.raises(UsageError, match="which one"):
        choose_table(backup, "a")
    with pytest.raises(UsageError, match="no table b"):
        choose_table(backup, "b")


def test_files_from_somewhere_else(bench: Any, tmp_path: Path) -> None:
    bench.fill(30)
    backup = bench.create()
    folder = tmp_path / "fetched"
    folder.mkdir()
    for name in (backup.object, backup.manifest):
        shutil.copy(bench.store.path / name, folder / name)
    assert is_file(backup.object)
    assert not is_file(backup.id)
    for name in (backup.object, backup.manifest):
        source, found = open_file(str(folder / name))
        assert found == backup
    bench.run("DELETE FROM item")
    there = replace(bench, store=source)
    there.restore(backup.id)
    assert bench.items() == 30
    assert {path.name for path in folder.iterdir()} == {backup.object, backup.manifest}
    (folder / backup.object).write_bytes(b"cut")
    with pytest.raises(BackupInvalid):
        open_file(str(folder / backup.object))
    (folder / backup.manifest).unlink()
    for wrong in (folder / backup.object, folder / "x.dump", folder / "prod.nothing.json"):
        with pytest.raises(UsageError):
            open_file(str(wrong))
