"""The schema beside the releases: contract migrations, the way back past one, a migrator of
the service's own. On the embedded Postgres, which the host sees and the container need not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stockctl.system.postgres import Database
from tests.e2e.conftest import Done
from tests.e2e.ops.conftest import Small

FIRST = "-- phase: expand\nCREATE TABLE shop (id int, old text, new text);\n"
TAKE_AWAY = "-- phase: contract\nALTER TABLE shop DROP COLUMN old;\n"
GIVE_BACK = "ALTER TABLE shop ADD COLUMN old text;\n"


class WithDatabase:
    """A small project with a database and its client tools on the path."""

    def __init__(self, small: Small, database: Database) -> None:
        self.small, self.database = small, database
        self.folder = small.root / "migrations"
        self.folder.mkdir()
        self.migration("0001_shop", FIRST, "DROP TABLE shop;\n")
        url = database.dsn.url().reveal()
        small.toml('[database]\nurl = "${DATABASE_URL}"\nmigrations = "../migrations"')
        small.set(DATABASE_URL=url)
        folder = database.tools.folder
        self.path = {"PATH": f"{folder}:{os.environ['PATH']}"} if folder else {}

    def migration(self, name: str, up: str, down: str) -> None:
        (self.folder / f"{name}.sql").write_text(up)
        (self.folder / f"{name}.rollback.sql").write_text(down)

    def run(self, *arguments: str) -> Done:
        return self.small.run(*arguments, env=self.path)

    def deploy(self, *more: str) -> Done:
        return self.run("deploy", "site", "--image", "stockmind-api:testbed-cache", *more)

    def data(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.code == 0, done.err + done.out
        return json.loads(done.out)["data"]

    def columns(self) -> list[str]:
        with self.database.connect() as connection:
            sql = "SELECT attname FROM pg_attribute WHERE attrelid = 'shop'::regclass"
            rows = connection.execute(f"{sql} AND attnum > 0 AND NOT attisdropped").fetchall()
        return sorted(row[0] for row in rows)


@pytest.fixture
def shop(small: Small, database: Database) -> Iterator[WithDatabase]:
    yield WithDatabase(small, database)


def test_contract_after_the_deploy_and_the_way_back_past_it(shop: WithDatabase) -> None:
    first = shop.deploy()
    assert first.code == 0, first.err
    shop.migration("0002_take_away", TAKE_AWAY, GIVE_BACK)
    # what serves was deployed before this file was written, and may need the column
    waits = shop.data("deploy", "contract", "--yes")
    assert (waits["planned"], waits["waits"], waits["applied"]) == ([], ["0002_take_away"], [])
    assert "old" in shop.columns()

    assert shop.deploy("--skip-backup").code == 0
    plan = shop.data("deploy", "contract", "--plan")
    assert (plan["planned"], plan["closes"]) == (["0002_take_away"], ["r0001"])
    unconfirmed = shop.run("deploy", "contract")
    assert unconfirmed.code == 4
    assert "r0001 cannot come back afterwards" in unconfirmed.err
    assert "old" in shop.columns()
    done = shop.run("deploy", "contract", "--yes")
    assert done.code == 0, done.err
    assert "✓ backup" in done.err
    assert shop.columns() == ["id", "new"]

    assert shop.deploy("--skip-backup").code == 0  # r0003, which expects it as r0002 does
    refused = shop.run("deploy", "rollback", "--to", "r0001", "--yes")
    assert refused.code == 4
    assert "0002_take_away" in refused.err and "--with-database" in refused.err
    tolerant = shop.data("deploy", "rollback", "--yes")  # to r0002: it came with the migration
    assert tolerant["release"]["id"] == "r0002"
    assert shop.columns() == ["id", "new"]

    for file in shop.folder.iterdir():  # another commit is checked out: the recorded script counts
        if "0002" in file.name:
            file.unlink()
    back = ("deploy", "rollback", "--to", "r0001", "--with-database")
    assert shop.data(*back, "--plan")["planned"] == {
        "release": "r0001",
        "reverted": ["0002_take_away"],
    }
    assert "old" not in shop.columns()
    assert shop.run(*back).code == 4
    done_back = shop.run(*back, "--yes")
    assert done_back.code == 0, done_back.err
    assert done_back.err.index("✓ backup") < done_back.err.index("✓ schema")
    assert shop.columns() == ["id", "new", "old"]
    assert shop.small.live() == "r0001"
    commands = [entry["command"] for entry in shop.data("journal")["entries"]]
    assert commands[0] == "deploy rollback to r0001"
    assert "deploy contract 0002_take_away" in commands


def test_a_down_script_that_fails_leaves_the_release_that_serves(shop: WithDatabase) -> None:
    assert shop.deploy().code == 0
    shop.migration("0002_take_away", TAKE_AWAY, "ALTER TABLE nowhere ADD COLUMN old text;\n")
    assert shop.deploy("--skip-backup").code == 0
    assert shop.run("deploy", "contract", "--yes", "--skip-backup").code == 0
    back = shop.run("deploy", "rollback", "--with-database", "--yes", "--skip-backup")
    assert back.code == 7, back.err
    assert "nowhere" in back.err
    assert shop.small.live() == "r0002"
    assert shop.columns() == ["id", "new"]
    assert shop.small.says() == "hello"


def test_a_migrator_of_the_services_own(small: Small, tmp_path: Path) -> None:
    small.toml('[deploy]\nrelease_command = ["sh", "-c", "echo migrated $GREETING"]')
    done = small.deploy("-v")
    assert done.code == 0, done.err
    assert "    migrated hello" in done.err  # in the new image, with the service's variables
    assert done.err.index("✓ release command") < done.err.index("✓ replace")

    text = small.file.read_text()
    small.file.write_text(text.replace("echo migrated $GREETING", "echo the-reason >&2; exit 3"))
    failed = small.deploy()
    assert failed.code == 6
    assert "the-reason" in failed.err
    assert "Nothing that serves was touched" in failed.err
    assert (small.live(), small.says()) == ("r0001", "hello")

    small.file.write_text(text.replace("echo migrated $GREETING", "sleep 600"))
    small.toml('[deploy]\nrelease_timeout = "1s"')
    late = small.deploy()
    assert late.code == 6
    assert "did not end in time" in late.err
    assert (small.live(), small.says()) == ("r0001", "hello")
    left = small.one_offs()
    assert left == []

    small.toml('[database]\nurl = "postgresql://u:n0tAPassw0rdAnybodyHas@127.0.0.1:1/x"')
    said = small.run("db", "status")
    assert said.code == 3
    assert "a migrator of its own" in said.err
