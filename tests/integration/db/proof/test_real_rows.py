"""`db prove --with-data`: what only the rows of a backup tell."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.servers import on_one_postgres
from tests.terminal import LIMIT_S, STOCKCTL

from stockctl.system.postgres import Database

pytestmark = on_one_postgres

FILES = {
    "0001_a": ("CREATE TABLE a (id int PRIMARY KEY, title text)", "DROP TABLE a"),
    "0002_b": ("ALTER TABLE a ADD b int", "ALTER TABLE a DROP b"),
    "0003_c": ("ALTER TABLE a ADD UNIQUE (title)", "ALTER TABLE a DROP CONSTRAINT a_title_key"),
    "0004_d": ("ALTER TABLE a ADD d int", "ALTER TABLE a DROP d"),
}


def test_what_only_real_rows_tell(tmp_path: Path, database: Database) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "migrations").mkdir()
    url = database.dsn.url().reveal()
    toml = f'[database]\nurl = "{url}"\nmigrations = "../migrations"\n'
    (tmp_path / "environments" / "one.toml").write_text(toml)

    def stockctl(*arguments: str) -> tuple[int, dict[str, Any]]:
        argv = [STOCKCTL, "--root", tmp_path, *arguments, "--json"]
        path = {"PATH": f"{database.tools.folder}:/usr/bin:/bin"}
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=path
        )
        return done.returncode, json.loads(done.stdout)

    def write(*names: str) -> None:
        for name in names:
            (tmp_path / "migrations" / f"{name}.sql").write_text(FILES[name][0])
            (tmp_path / "migrations" / f"{name}.rollback.sql").write_text(FILES[name][1])

    write("0001_a")
    code, said = stockctl("db", "prove", "--with-data")
    assert (code, said["error"]["code"]) == (2, "USAGE")
    assert stockctl("db", "migrate", "--yes")[0] == 0
    with database.connect() as connection:
        connection.execute("INSERT INTO a SELECT n, 'same' FROM generate_series(1, 2) AS n")
    code, said = stockctl("backup", "create")
    assert code == 0, said
    write("0002_b", "0003_c", "0004_d")
    code, said = stockctl("db", "prove", "--with-data", "--from", "0002")
    outcomes = {each["id"]: each["outcome"] for each in said["data"]["migrations"]}
    assert outcomes == {"0002_b": "proved", "0003_c": "failed", "0004_d": "proved"}
    [problem] = said["data"]["migrations"][1]["problems"]
    assert problem["code"] == "P011"
    assert problem["message"].startswith("with real rows: could not create unique index")
    assert code == 7
    code, said = stockctl("db", "prove", "--from", "0002")
    assert (code, {each["outcome"] for each in said["data"]["migrations"]}) == (0, {"proved"})
    with database.connect() as connection:
        left = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'stockctl_restore%'"
        ).fetchall()
    assert left == []
