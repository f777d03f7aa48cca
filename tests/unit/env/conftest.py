"""Small projects, written where a test needs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stockctl.env.project import Project

Write = Callable[..., Project]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(prod=TOML, …)` makes a project of these environments; `env={name: text}` env files."""

    def make(env: dict[str, str] | None = None, **files: str) -> Project:
        folder = tmp_path / "environments"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / f"{name}.toml").write_text(text)
        for name, text in (env or {}).items():
            path = folder / f".env.{name}"
            path.write_text(text)
            path.chmod(0o600)
        (folder / "compose.yaml").write_text("services: {}\n")
        return Project(tmp_path)

    return make
