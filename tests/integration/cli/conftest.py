"""The installed program, on a project with secrets in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.children import measured
from tests.servers import scratch

PROGRAM = Path(sys.executable).parent / "stockctl"
REPOSITORY = Path(__file__).parents[3]
CANARY = "c4n4ryV4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E"


@dataclass(frozen=True)
class Ended:
    """How one call of the program ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout, and nothing beside it."""
        found: dict[str, Any] = json.loads(self.out)
        return found


Run = Callable[..., Ended]


def environment(**more: str) -> dict[str, str]:
    """Ours, without what would choose a project or colours."""
    dropped = ("STOCKCTL", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {**kept, **more}


@pytest.fixture
def project() -> Iterator[Path]:
    """`local` with an embedded Postgres, `staging` and `prod` as in the repository, filled in.

    Not below `tmp_path`: for root, the embedded server runs as another user, and each new run of
    pytest closes its base folder to others (_pytest/tmpdir.py, getbasetemp).
    """
    with scratch("cli") as folder:
        yield _filled_in(folder / "project")


def _filled_in(root: Path) -> Path:
    shutil.copytree(REPOSITORY / "environments", root / "environments", ignore=_env_files)
    shutil.copytree(REPOSITORY / "migrations", root / "migrations")
    (root / "examples" / "stockmind-api").mkdir(parents=True)
    for index, name in enumerate(("staging", "prod")):
        text = (REPOSITORY / "environments" / f".env.{name}.example").read_text()
        for i, key in enumerate(("SESSION_SECRET", "JWT_SECRET", "POSTGRES_PASSWORD")):
            text = text.replace(f"{key}=\n", f"{key}={CANARY}{index}{i}\n")
        file = root / "environments" / f".env.{name}"
        file.write_text(text)
        file.chmod(0o600)
    return root


def _env_files(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(".env") and not name.endswith(".example")]


@pytest.fixture
def stockctl(project: Path) -> Run:
    """Runs the program in the project's folder, without a terminal."""

    def run(*arguments: str, cwd: Path | None = None, **variables: str) -> Ended:
        done = subprocess.run(
            [PROGRAM, *arguments],
            cwd=cwd or project,
            env=measured(arguments, variables=environment(**variables)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run
