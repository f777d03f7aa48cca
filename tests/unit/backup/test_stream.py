"""When rows are restored while they are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.backup.test_catalog import add

from stockctl.backup.fill import feed
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.backup.way import worth_it
from stockctl.core.command import Command
from stockctl.core.errors import BackupInvalid
from stockctl.core.progress import Step, silent
from stockctl.system.local import LocalHost

LARGE = 100 << 20


@pytest.mark.parametrize(
    ("rows", "dump_bytes", "jobs", "expected"),
    [
        ((90, 10), LARGE, 2, True),
        ((100,), LARGE, 4, True),
        ((90, 10), LARGE, 1, False),  # what follows the rows is not built in parallel anyway
        ((50, 50), LARGE, 2, False),  # two tables are restored at once
        ((90, 10), 1 << 20, 2, False),
        ((90, 10), None, 2, False),  # a manifest of before it was kept
        ((), LARGE, 2, True),  # large objects only
        ((0, 0), LARGE, 2, True),
    ],
)
def test_where_a_second_job_has_nothing_to_do(
    tmp_path: Any, rows: tuple[int, ...], dump_bytes: int | None, jobs: int, expected: bool
) -> None:
    tables = tuple((f"public.t{number}", count) for number, count in enumerate(rows))
    backup = replace(add(DirectoryStore(tmp_path)), fingerprint=tables, dump_bytes=dump_bytes)
    assert worth_it(backup, jobs) is expected


@pytest.mark.parametrize("program", ["true", "false"])  # it leaves at once, and is content or not
def test_what_is_damaged_is_found_also_past_what_was_wanted(tmp_path: Path, program: str) -> None:
    def blocks() -> Iterator[bytes]:
        for _ in range(8):
            yield bytes(1 << 20)
        raise BackupInvalid("another sha256")

    backup = add(DirectoryStore(tmp_path))
    with pytest.raises(BackupInvalid, match="another sha256"):
        feed(Command((program,)), blocks(), backup, LocalHost(), Step("restore", silent))
