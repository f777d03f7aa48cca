"""The gate before whatever changes something, and the two commands that it must not hold up."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.integration.cli.conftest import CANARY, Run

PLACEHOLDER = "SESSION_SECRET=change-me-before-you-go-live-please\n"
DECLARED = 'env_file = ".env.local"\n[variables.SESSION_SECRET]\ntype = "secret"\n'


@pytest.fixture
def local(project: Path) -> Path:
    """`local`, with an env file whose secret is a placeholder."""
    folder = project / "environments"
    toml = folder / "local.toml"
    toml.write_text(f"{DECLARED}{toml.read_text()}")
    env = folder / ".env.local"
    env.touch(0o600)
    env.write_text(PLACEHOLDER)
    return project


CHANGING = [
    "db migrate local",
    "db rollback local --yes",
    "backup restore local --yes",
    "backup prune local --yes",
]


@pytest.mark.parametrize("line", CHANGING)
def test_an_error_stops_it_before_anything_is_touched(
    stockctl: Run, local: Path, line: str
) -> None:
    ended = stockctl(*line.split())
    assert ended.code == 3
    assert "environments/.env.local:1:1 E014 error" in ended.err
    assert not (local / ".stockctl").exists()


def test_without_the_error_it_goes_through(stockctl: Run, local: Path) -> None:
    (local / "environments" / ".env.local").write_text(f"SESSION_SECRET={CANARY}\n")
    assert stockctl("db", "migrate", "local").code == 0
    assert stockctl("backup", "prune", "local", "--yes").code == 0


def test_a_warning_is_told_and_stops_nothing(stockctl: Run, local: Path) -> None:
    (local / "environments" / ".env.local").write_text(f"SESSION_SECRET={CANARY}\nother=1\n")
    ended = stockctl("db", "migrate", "local")
    assert ended.code == 0
    assert "warning" in ended.err


def test_a_deploy_is_stopped_by_a_tracked_env_file(stockctl: Run, project: Path) -> None:
    for arguments in (["init", "-q"], ["add", "-f", "environments/.env.staging"]):
        subprocess.run(["git", *arguments], cwd=project, check=True)
    ended = stockctl("deploy", "staging", "--tag", "v1", "--plan")
    assert ended.code == 3
    assert "environments/.env.staging E021 error is tracked by git" in ended.err
    checked = stockctl("env", "validate", "staging", "prod")
    assert "environments/.env.staging E021" in checked.out
    assert "environments/.env.prod E021" not in checked.out


TYPOS = {
    "a placeholder": ("", PLACEHOLDER),
    "a line that is none": ("", "SESSION_SECRET\n"),
    "an unknown table": ("[smoek]\n", PLACEHOLDER),
    "a smoke check without a path": ('[[smoke]]\nname = "x"\n', PLACEHOLDER),
    "retention": ("[backup.keep]\ndayly = 3\n", PLACEHOLDER),
}


@pytest.mark.parametrize(("toml", "env"), TYPOS.values(), ids=TYPOS)
def test_a_backup_at_night_does_its_work(stockctl: Run, local: Path, toml: str, env: str) -> None:
    file = local / "environments" / "local.toml"
    file.write_text(file.read_text() + toml)
    (local / "environments" / ".env.local").write_text(env)
    assert stockctl("env", "validate", "local").code == 3
    ended = stockctl("backup", "create", "local")
    assert ended.code == 0, ended.err
    assert "stockctl env validate local" in ended.err
    (made,) = stockctl("backup", "list", "local", "--json").document["data"]["backups"] or [None]
    assert made is not None


def test_a_backup_without_its_store_is_not_made_elsewhere(stockctl: Run, local: Path) -> None:
    file = local / "environments" / "local.toml"
    file.write_text(file.read_text() + '[backup]\nstor = "/backups"\n')
    ended = stockctl("backup", "create", "local")
    assert ended.code == 3
    assert "C002" in ended.err
    assert not (local / ".stockctl").exists()
