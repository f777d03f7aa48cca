"""A database that another machine reaches, and no service of its own there: the clients are ours,
what they say goes through the SSH connection, and whose turn it is, is said over there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from tests.ports import free_port
from tests.remotes import Sshd
from tests.servers import a_server

from stockctl.core.clock import SystemClock
from stockctl.system.host import Holder
from stockctl.system.local import LocalHost

PROGRAM = Path(sys.executable).with_name("stockctl")
VERSION = 17
CONFIGURATION = """\
[host]
ssh = "127.0.0.1:{ssh}"
identity_file = "{key}"
directory = "{there}"

[database]
url = "postgresql://postgres@127.0.0.1:{port}/shop"
"""


def test_backups_with_the_clients_of_this_machine(sshd: Sshd, tmp_path: Path) -> None:
    there, port = tmp_path / "there", free_port()
    folder = tmp_path / "project" / "environments"
    folder.mkdir(parents=True)
    shutil.copy(sshd.known_hosts, folder / "known_hosts")
    text = CONFIGURATION.format(ssh=sshd.port, key=sshd.key, there=there, port=port)
    (folder / "prod.toml").write_text(text)
    listening = f"-c listen_addresses=127.0.0.1 -c port={port}"
    with (
        tempfile.TemporaryDirectory(prefix="stockctl-far-") as place,
        a_server(VERSION, Path(place), options=listening) as server,
    ):
        tools = server.tools.folder

        def stockctl(*arguments: str, code: int = 0) -> dict[str, Any]:
            done = subprocess.run(
                [PROGRAM, "--root", str(tmp_path / "project"), *arguments, "--json"],
                env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == code, done.stderr + done.stdout
            document: dict[str, Any] = json.loads(done.stdout)
            return document

        def shop(query: str, database: str = "shop") -> list[tuple[Any, ...]]:
            url = f"postgresql://postgres@127.0.0.1:{port}/{database}"
            with psycopg.connect(url, autocommit=True) as connection:
                cursor = connection.execute(query.encode())
                return cursor.fetchall() if cursor.description else []

        shop("CREATE DATABASE shop", "postgres")
        shop("CREATE TABLE stock AS SELECT n FROM generate_series(1, 1000) n")
        made = stockctl("backup", "create")["data"]["backup"]
        kept = tmp_path / "project" / ".stockctl" / "prod"
        assert any(made["id"] in file.name for file in (kept / "backups").iterdir())
        (checked,) = stockctl("backup", "verify", "--drill")["data"]["checked"]
        assert checked["rows_match"] is True
        assert not (kept / "drill").exists()
        shop("DELETE FROM stock")
        busy = Holder("ada@desk", "backup create", SystemClock().now())
        with LocalHost().lock(there / "backup.lock", busy):
            held = stockctl("backup", "create", code=5)
            assert "ada@desk" in held["error"]["message"]
        planned = stockctl("backup", "restore", "--plan")["data"]["planned"]["room"]
        rooms = {each["what"]: each for each in planned}
        assert rooms["the copy"]["folder"] == shop("SHOW data_directory")[0][0]
        assert rooms["the copy"]["free_bytes"] > 0  # asked over the connection to its host
        assert rooms["the safety backup"]["folder"] == str(kept / "backups")
        stockctl("backup", "restore", "--yes")
        assert shop("SELECT count(*) FROM stock") == [(1000,)]
        stockctl("backup", "undo", "--yes")
        assert shop("SELECT count(*) FROM stock") == [(0,)]
        commands = [entry["command"] for entry in stockctl("journal")["data"]["entries"]]
        assert "backup undo" in commands
        assert (there / "journal.jsonl").exists()
