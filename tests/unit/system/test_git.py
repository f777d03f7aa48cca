"""git is asked only where it could know a file, and then always."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stockctl.system import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    run(tmp_path, "init", "-q")
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / ".env.prod").write_text("A=1\n")
    (tmp_path / "README.md").write_text("a\n")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    argv = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    return subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True).stdout


def may_track(root: Path, name: str = ".env.prod") -> bool:
    return git.may_track([root / "environments" / name], root / "environments")


def test_no_repository_tracks_nothing(tmp_path: Path) -> None:
    assert not may_track(tmp_path)


def test_a_repository_without_a_file_tracks_nothing(repository: Path) -> None:
    assert not may_track(repository)


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_a_tracked_file_is_never_missed(repository: Path, version: str) -> None:
    run(repository, "update-index", f"--index-version={version}")
    run(repository, "add", "README.md", "environments/.env.prod")
    assert may_track(repository)


def test_of_a_file_that_is_not_in_the_index_nobody_is_asked(repository: Path) -> None:
    run(repository, "add", "README.md")
    assert not may_track(repository)
    assert may_track(repository, ".env.\u00fc")


def test_where_the_index_does_not_say_it_all_git_is_asked(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(repository, "add", "README.md", "environments/.env.prod")
    run(repository, "commit", "-qm", "a")
    run(repository, "update-index", "--split-index")
    assert may_track(repository, "not-there")
    run(repository, "update-index", "--no-split-index")
    assert not may_track(repository, "not-there")
    run(repository, "worktree", "add", "-q", "beside")
    assert may_track(repository / "beside")
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository / "other"))
    assert may_track(repository, "not-there")


def test_what_only_looks_like_a_repository_hides_none_around_it(repository: Path) -> None:
    run(repository, "add", "environments/.env.prod")
    (repository / "environments" / ".git").mkdir()
    assert may_track(repository)
