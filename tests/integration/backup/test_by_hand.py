"""docs/restore-without-stockctl.md, its commands run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "restore-without-stockctl.md"
FILE = "prod.20261122T030000Z-1f2e.dump.zst.age"


def commands() -> list[str]:
    """The first console block."""
    found = re.search(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return [line.removeprefix("$ ") for line in found[1].splitlines()]


def test_three_commands_bring_it_back(sealed: Any, tmp_path: Path) -> None:
    if not (shutil.which("age") and shutil.which("zstd")):
        assert not os.environ.get("CI"), "tests/testbed installs age and zstd"
        pytest.skip("age or zstd is not here: tests/testbed/age.sh, tests/testbed/backup.sh")
    sealed.fill(300)
    backup = sealed.create()
    shutil.copy(sealed.store.path / backup.object, tmp_path / FILE)
    assert sealed.identity_file == tmp_path / "key.txt"
    copy = f"{sealed.database.dsn.database}_copy"
    dsn, folder = sealed.database.dsn, sealed.database.tools.folder
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PGHOST": dsn.host,
        "PGUSER": dsn.user,
    }
    assert len(commands()) == 3
    for command in commands():
        text = command.replace("stock_copy", copy)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{text}\n{done.stderr}"
    restored = replace(sealed, database=sealed.database.to(copy))
    assert restored.items() == 300
