"""Which project, which environment: named, or the only one, and never a guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockctl.core.errors import NoProject, UnknownEnvironment
from stockctl.env.project import Project, find_project


def project(root: Path, *names: str) -> Project:
    (root / "environments").mkdir(parents=True)
    for name in names:
        (root / "environments" / f"{name}.toml").touch()
    return Project(root)


def test_the_nearest_folder_upwards_counts(tmp_path: Path) -> None:
    project(tmp_path)
    inner = tmp_path / "a" / "b"
    project(inner)
    deep = inner / "c" / "d"
    deep.mkdir(parents=True)
    assert find_project(None, deep, {}).root == inner
    assert find_project(None, tmp_path / "a", {}).root == tmp_path


def test_the_option_beats_the_variable_beats_the_folder(tmp_path: Path) -> None:
    for name in ("here", "variable", "option"):
        project(tmp_path / name)
    variables = {"STOCKCTL_ROOT": str(tmp_path / "variable")}
    here = tmp_path / "here"
    assert find_project(tmp_path / "option", here, variables).root == tmp_path / "option"
    assert find_project(None, here, variables).root == tmp_path / "variable"
    assert find_project(None, here, {"STOCKCTL_ROOT": ""}).root == here


def test_a_relative_root_is_seen_from_here(tmp_path: Path) -> None:
    project(tmp_path / "p")
    (tmp_path / "q").mkdir()
    assert find_project(Path("../p"), tmp_path / "q", {}).names() == []


def test_no_project_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(NoProject) as caught:
        find_project(None, tmp_path, {})
    assert "--root" in caught.value.hint
    with pytest.raises(NoProject, match="gone"):
        find_project(Path("gone"), tmp_path, {})


def test_names_are_sorted_and_without_the_base(tmp_path: Path) -> None:
    made = project(tmp_path, "staging", "base", "prod", "Upper", "a_b", ".hidden")
    assert made.names() == ["prod", "staging"]


def test_the_only_one_needs_no_name(tmp_path: Path) -> None:
    assert project(tmp_path, "prod", "base").choose(None, {}) == "prod"


def test_between_two_there_is_no_guess(tmp_path: Path) -> None:
    with pytest.raises(UnknownEnvironment) as caught:
        project(tmp_path, "prod", "staging").choose(None, {})
    assert "prod, staging" in caught.value.hint


def test_the_variable_chooses_and_a_name_beats_it(tmp_path: Path) -> None:
    made = project(tmp_path, "prod", "staging")
    assert made.choose(None, {"STOCKCTL_ENV": "prod"}) == "prod"
    assert made.choose("staging", {"STOCKCTL_ENV": "prod"}) == "staging"
    with pytest.raises(UnknownEnvironment):
        made.choose(None, {"STOCKCTL_ENV": "gone"})


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    assert project(tmp_path, "prod").choose(None, {"STOCKCTL_ENV": ""}) == "prod"


def test_an_empty_name_is_refused_and_never_replaced_by_a_default(tmp_path: Path) -> None:
    with pytest.raises(UnknownEnvironment, match="empty"):
        project(tmp_path, "prod").choose("", {"STOCKCTL_ENV": "prod"})


def test_a_near_miss_is_guessed_in_words_only(tmp_path: Path) -> None:
    with pytest.raises(UnknownEnvironment) as caught:
        project(tmp_path, "prod", "staging").choose("stagin", {})
    assert "Did you mean staging?" in caught.value.hint


def test_a_project_without_environments_says_none(tmp_path: Path) -> None:
    with pytest.raises(UnknownEnvironment) as caught:
        project(tmp_path).choose(None, {})
    assert "none" in caught.value.hint


def test_files_are_called_by_their_place_in_the_project(tmp_path: Path) -> None:
    made = Project(tmp_path / "p")
    assert made.label(made.file("prod")) == "environments/prod.toml"
    assert made.label(Path("/elsewhere/x")) == "/elsewhere/x"
