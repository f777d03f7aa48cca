"""The share of a disk that is used is the one that df shows, whatever is kept for root."""

from __future__ import annotations

import subprocess
from pathlib import Path

from stockctl.system.disk import usage
from stockctl.system.local import LocalHost


def test_the_share_is_that_of_df(tmp_path: Path) -> None:
    found = usage(LocalHost(), tmp_path / "not" / "there" / "yet")
    said = subprocess.run(
        ["df", "--output=pcent", tmp_path], capture_output=True, text=True, check=True
    )
    percent = int(said.stdout.split()[-1].rstrip("%"))
    assert abs(100 * (1 - found.free / found.total) - percent) < 2
