"""Which env files git tracks, wherever they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stockctl.cli.gate import tracked_by_git
from stockctl.env.project import Project
from stockctl.env.validate import validate


def file(path: Path, *, tracked: bool) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("A=1\n")
    if tracked:
        subprocess.run(["git", "add", "-f", path.name], cwd=path.parent, check=True)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "environments").mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def test_an_env_file_above_the_toml_files_is_found(root: Path) -> None:
    above = file(root / ".env", tracked=True)
    assert tracked_by_git([above]) == {above}


def test_one_outside_of_the_repository_hides_no_other(root: Path, tmp_path: Path) -> None:
    outside = file(tmp_path / "elsewhere" / ".env.prod", tracked=False)
    inside = file(root / "environments" / ".env.staging", tracked=True)
    assert tracked_by_git([outside, inside]) == {inside}


def test_a_project_that_is_named_by_a_detour_is_the_same(root: Path, tmp_path: Path) -> None:
    env = file(root / "environments" / ".env.prod", tracked=True)
    (root / "environments" / "prod.toml").write_text('env_file = ".env.prod"\n')
    env.chmod(0o600)
    (tmp_path / "link").symlink_to(root)
    for named in (tmp_path / "link", root / ".." / "project"):
        found = validate(Project(named), ["prod"], {}, tracked_by_git).findings
        assert [each.code for each in found] == ["E021"]
