"""What goes in comes out: every kind of content, encrypted and not, with us and without us."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pyrage
import pytest
from psycopg import sql

from stockctl.backup.verification import verify
from stockctl.core.command import Command
from stockctl.core.errors import ConfigurationError
from stockctl.env.keys import load_identities
from stockctl.system.local import LocalHost
from stockctl.system.postgres import Database

HOSTILE = 'Café "x"; DROP TABLE it\'s --\n$$'


def _hostile(bench: Any) -> None:
    names = {"s": sql.Identifier(HOSTILE), "t": sql.Identifier("a.b"), "d": sql.Identifier("b")}
    script = """
        CREATE SCHEMA {s}; CREATE TABLE {s}.{t} ({s} text); CREATE TABLE {s}.{s} (id int);
        CREATE SCHEMA a; CREATE TABLE a.b (id int); CREATE TABLE {t} (id int);
        INSERT INTO {s}.{t} SELECT {value} FROM generate_series(1, 7);
        INSERT INTO a.b VALUES (1); INSERT INTO {t} VALUES (1), (2);
        CREATE TABLE part (id int, at int) PARTITION BY RANGE (at);
        CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
        INSERT INTO part SELECT n, 5 FROM generate_series(1, 9) n;
        CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
        INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1), (2), (3);
        CREATE MATERIALIZED VIEW seen AS SELECT * FROM parent;
    """
    with bench.database.connect() as connection:
        connection.execute(sql.SQL(script).format(value=sql.Literal(HOSTILE), **names))


def _state(bench: Any) -> list[Any]:
    with bench.database.connect() as connection:
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.Identifier(HOSTILE), sql.Identifier(HOSTILE, "a.b")
        )
        rows: list[Any] = connection.execute(query).fetchall()
        return rows + connection.execute("SELECT * FROM parent ORDER BY 1").fetchall()


@pytest.mark.parametrize("kind", ["bench", "sealed"])
def test_hostile_names(kind: str, request: pytest.FixtureRequest) -> None:
    bench = request.getfixturevalue(kind)
    _hostile(bench)
    before = _state(bench)
    backup = bench.create(label=HOSTILE, schema_head="0002_x", pinned=True)
    counts = dict(backup.fingerprint)
    assert counts["a.b"] == 1
    assert counts['public."a.b"'] == 2
    assert (counts["public.part_1"], "public.part" in counts) == (9, False)
    assert (counts["public.parent"], counts["public.child"]) == (1, 3)
    assert backup.rows == 7 + 1 + 2 + 9 + 4
    assert bench.catalogue().backups == (backup,)
    bench.run("DROP TABLE a.b; DROP SCHEMA a; DELETE FROM child")
    done = bench.restore()
    assert _state(bench) == before
    assert bench.databases() == {done.database: True, done.previous_database: True}


def test_a_database_with_a_hostile_name(bench: Any, database: Database) -> None:
    name = f"{database.dsn.database}_Ünï 'q' \"dq\" = \\ " + "ü" * 10
    with database.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    bench.database = database.to(name)
    bench.fill(10)
    backup = bench.create()
    assert backup.database == name
    bench.run("DELETE FROM item")
    first = bench.restore()
    second = bench.restore()
    assert bench.items() == 10
    assert first.previous_database != second.previous_database
    assert all(len(each.encode()) <= 63 for each in bench.databases())


def test_an_empty_database(bench: Any) -> None:
    backup = bench.create()
    assert (backup.tables, backup.rows) == (0, 0)
    bench.fill(1)
    bench.restore()
    assert bench.run("SELECT to_regclass('item')") == [(None,)]


def test_what_lands_opens_without_us(sealed: Any, tmp_path: Path) -> None:
    sealed.fill(20_000)
    for recipients in ((), sealed.recipients):
        backup = sealed.create(recipients=recipients)
        stored = sealed.store.path / backup.object
        assert hashlib.sha256(stored.read_bytes()).hexdigest() == backup.sha256
        if recipients:
            opened = tmp_path / "opened.zst"
            identity = pyrage.x25519.Identity.from_str(sealed.identity_file.read_text().strip())
            pyrage.decrypt_file(str(stored), str(opened), [identity])
            stored = opened
        dump = tmp_path / "dump"
        dump.write_bytes(_unzstd(stored))
        listing = LocalHost().run(
            sealed.database.tools.local("pg_restore", "--list", str(dump)), timeout_s=60
        )
        assert "TABLE DATA public item" in listing.stdout


def _unzstd(path: Path) -> bytes:
    import shutil

    if shutil.which("zstd"):
        return subprocess.run(["zstd", "-dc", str(path)], check=True, capture_output=True).stdout
    from backports import zstd

    return zstd.decompress(path.read_bytes())


def test_the_snapshot_is_one_instant(bench: Any) -> None:
    """What is committed while the dump runs is in neither the counts nor the dump."""
    bench.fill(100)

    def meddle(event: Any) -> None:
        if getattr(event, "name", "") == "dump":
            bench.run("INSERT INTO item SELECT 0, ''")

    backup = bench.on(meddle).create()
    assert backup.rows == 100
    assert bench.items() > 100
    bench.restore()
    assert bench.items() == 100


def test_the_key_is_needed_to_restore_and_not_to_back_up(sealed: Any, tmp_path: Path) -> None:
    sealed.fill(10)
    sealed.create()
    public = sealed.recipients[0]
    keyless = type(sealed)(sealed.database, sealed.store, sealed.directory)
    with pytest.raises(ConfigurationError) as missing:
        keyless.restore()
    assert public in missing.value.details
    keyless.identity_file = tmp_path / "other.txt"
    keyless.identity_file.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(ConfigurationError) as wrong:
        keyless.restore()
    assert public in wrong.value.details
    assert list(sealed.databases().values()) == [True]


def test_a_prefix_in_front_of_the_tools(bench: Any) -> None:
    """`--version` takes the same way into the container as the rest."""
    tools = type(bench.database.tools)(prefix=("env", "X=1"))
    assert tools.local("pg_dump", "--version") == Command(("env", "X=1", "pg_dump", "--version"))


def test_tools_of_another_version_are_refused(bench: Any, tmp_path: Path) -> None:
    from stockctl.core.errors import ToolFailed

    tool = tmp_path / "pg_dump"
    tool.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.3'\n")
    tool.chmod(0o755)
    bench.database = Database(bench.database.dsn, type(bench.database.tools)(folder=tmp_path))
    with pytest.raises(ToolFailed, match="PostgreSQL 18") as caught:
        bench.create()
    assert "postgresql-client-18" in caught.value.hint
    assert bench.files() == []


def test_each_of_several_keys_opens_it_alone(sealed: Any, tmp_path: Path) -> None:
    """And none but these: the error names them, and the file that held another or is gone."""
    sealed.fill(10)
    keys = [pyrage.x25519.Identity.generate() for _ in range(2)]
    both = (*sealed.recipients, *(str(key.to_public()) for key in keys))
    backup = sealed.create(recipients=both)
    files = [sealed.identity_file]
    for number, key in enumerate(keys):
        files.append(tmp_path / f"key-{number}.txt")
        files[-1].write_text(f"{key}\n")
    for file in files:
        ports = {name: sealed.ports()[name] for name in ("progress", "clock")}
        found = verify(backup, sealed.store, load_identities(file), **ports)
        assert (found.ok, found.depth) == (True, "archive")
    files[1].write_text(f"{pyrage.x25519.Identity.generate()}\n")
    files[2].unlink()
    sealed.identity_file = files[1]
    with pytest.raises(ConfigurationError, match=r"is not for the key in .*key-0\.txt") as stranger:
        sealed.restore()
    assert all(each in stranger.value.details for each in both)
    sealed.identity_file = files[2]
    with pytest.raises(ConfigurationError, match=r"identity_file .*key-1\.txt: No such file"):
        sealed.restore()
    assert list(sealed.databases().values()) == [True]
