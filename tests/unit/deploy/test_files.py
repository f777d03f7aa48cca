"""Files that containers mount over there: which of them go."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stockctl.deploy.files import sweep, unused_of
from stockctl.deploy.release import Releases
from stockctl.system.local import LocalHost

ONE, TWO, THREE = "1" * 16, "2" * 16, "3" * 16


def test_only_what_is_ours_and_occurs_nowhere_goes() -> None:
    lying = [ONE, TWO, f".{THREE}", "notes", ".hidden"]
    named = f'"source": "/srv/files/{ONE}/redis.conf"'
    assert unused_of(lying, named) == [TWO, f".{THREE}"]
    assert unused_of([ONE], f"/srv/files/{ONE}0/redis.conf") == [ONE]


def test_a_release_without_a_record_still_names_its_files(tmp_path: Path) -> None:
    """As of a deploy that is killed before it could write one."""
    for digest in (ONE, TWO):
        file = tmp_path / "files" / digest / "redis.conf"
        file.parent.mkdir(parents=True)
        file.touch()
    kept = tmp_path / "releases" / "r0001" / "compose.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(f'{{"source": "{tmp_path}/files/{ONE}/redis.conf"}}')
    site: Any = SimpleNamespace(
        directory=tmp_path,
        host=LocalHost(),
        releases=Releases(LocalHost(), tmp_path),
        containers=lambda: (),
    )
    assert sweep(site) == 1
    assert [each.name for each in (tmp_path / "files").iterdir()] == [ONE]
    assert sweep(site) == 0
