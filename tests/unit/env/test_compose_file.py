"""Compose files that somebody has twisted: a finding or an answer, never a crash, and at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockctl.env.compose_file import ComposeFile, read_compose_file


def read(tmp_path: Path, text: str) -> ComposeFile:
    path = tmp_path / "compose.yaml"
    path.write_text(text)
    return read_compose_file(path, "compose.yaml")


def test_what_is_merged_into_itself_ends(tmp_path: Path) -> None:
    file = read(tmp_path, "services: &all\n  <<: *all\n  app:\n    image: shop\n")
    assert file.services == ("app",)


def test_merges_that_double_take_no_time(tmp_path: Path) -> None:
    doubled = (f"x{n}: &x{n}\n  <<: [*x{n - 1}, *x{n - 1}]\n" for n in range(1, 60))
    text = "x0: &x0 {image: shop}\n" + "".join(doubled)
    file = read(tmp_path, f"{text}services:\n  app:\n    <<: *x59\n")
    assert [image.written for image in file.images] == ["shop"]


def test_the_nearer_value_counts_as_in_yaml(tmp_path: Path) -> None:
    text = "x-a: &a {image: one}\nx-b: &b {image: two}\n"
    file = read(
        tmp_path, f"{text}services:\n  app:\n    <<: [*a, *b]\n  web: {{<<: *a, image: me}}\n"
    )
    assert [image.written for image in file.images] == ["one", "me"]


def test_several_documents_are_one_stack(tmp_path: Path) -> None:
    text = "services:\n  app:\n    image: shop\n---\nservices:\n  db:\n    image: postgres:${TAG}\n"
    file = read(tmp_path, text)
    assert file.services == ("app", "db")
    assert [each.name for each in file.references] == ["TAG"]
    assert not file.findings


@pytest.mark.parametrize("depth", [900, 990, 2000, 5000])
def test_what_is_nested_too_deeply_is_told(tmp_path: Path, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    file = read(tmp_path, f"services:\n  app:\n    image: shop\nx-deep: {nested}\n")
    assert file.services == ("app",) or [each.code for each in file.findings] == ["C010"]
