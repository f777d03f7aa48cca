"""`stockctl db inspect` as a person and a program read it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers import scratch
from tests.terminal import LIMIT_S, STOCKCTL, Terminal

KEYS = {
    "--locks": {"locks"},
    "--connections": {
        "connections",
        "connection_groups",
        "long_sessions",
        "prepared_transactions",
    },
    "--slow": {"slow_queries"},
    "--indexes": {
        "invalid_indexes",
        "duplicate_indexes",
        "unused_indexes",
        "unindexed_foreign_keys",
        "sequential_scans",
    },
    "--sizes": {"tables", "sequences", "wraparound", "replication_slots"},
}
ALWAYS = {"database", "server_version", "counted_since", "notes", "to_do"}
LONG = "a_table_whose_name_is_as_long_as_postgresql_allows_it_to_become"


@pytest.fixture
def root() -> Iterator[Path]:
    with scratch("tests") as folder:
        environments = folder / "environments"
        environments.mkdir()
        (environments / "one.toml").write_text("[database]\nembedded = true\n")
        yield folder


def run(root: Path, *arguments: str, text: str = "") -> str:
    argv = [STOCKCTL, "--root", root, *arguments]
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_part_has_its_keys(root: Path) -> None:
    every: set[str] = set()
    for option, keys in KEYS.items():
        data: dict[str, Any] = json.loads(run(root, "db", "inspect", option, "--json"))["data"]
        assert set(data) == keys | ALWAYS
        every |= keys
    data = json.loads(run(root, "db", "inspect", "--json"))["data"]
    assert set(data) == every | ALWAYS
    assert data["to_do"] == 0
    assert "Nothing to do: who waits for whom, " in run(root, "db", "inspect")


def test_it_is_read_at_80_columns(root: Path) -> None:
    sql = f"CREATE TABLE {LONG} (id int PRIMARY KEY, parent int REFERENCES {LONG}, x int);"
    sql += f"CREATE INDEX i_x ON {LONG} (x); CREATE INDEX i_x2 ON {LONG} (x, id);"
    run(root, "db", "shell", text=sql)
    for options in ((), ("--indexes", "--sizes"), ("--connections", "--locks", "--slow")):
        terminal = Terminal(root, "db", "inspect", *options)
        assert terminal.end() == 0
        lines = terminal.shown.replace("\r", "").splitlines()
        too_long = [line for line in lines if len(line) > 80 and LONG not in line]
        assert too_long == []
    found = run(root, "db", "inspect", "--indexes")
    assert f"→ CREATE INDEX CONCURRENTLY ON public.{LONG} (parent);" in found
    assert "→ DROP INDEX CONCURRENTLY public.i_x;" in found
    duplicates = json.loads(run(root, "db", "inspect", "--json"))["data"]["duplicate_indexes"]
    assert [each["advice"] for each in duplicates] == ["DROP INDEX CONCURRENTLY public.i_x;"]
