"""The example with its database on another machine: migrations, a backup and a restore through
the one SSH connection."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.conftest import StagingProject
from tests.remotes import Sshd


def test_the_database_over_there(project: StagingProject, sshd: Sshd, tmp_path: Path) -> None:
    plugins = sshd.folder / ".docker"  # where that user's docker looks for Compose
    if not plugins.exists():
        plugins.symlink_to(Path.home() / ".docker")
    shutil.copy(sshd.known_hosts, project.root / "environments" / "known_hosts")
    project.toml(
        f'\n[host]\nssh = "127.0.0.1:{sshd.port}"\nidentity_file = "{sshd.key}"\n'
        f'directory = "{tmp_path / "there"}"\n'
    )
    first = project.deploy("v1", "--json")
    assert first.code == 0, first.err + first.out
    release = first.data["data"]["release"]
    assert len(release["migrations"]) == 12
    assert all(step["ok"] for step in release["steps"])
    project.psql("INSERT INTO projects (user_id, name) SELECT id, 'precious' FROM users LIMIT 1")
    backup = project.ok("backup", "create", "staging", "--json").data["data"]["backup"]
    kept = project.root / ".stockctl" / "staging" / "backups"  # here, not over there
    assert any(backup["id"] in file.name for file in kept.iterdir())
    project.psql("DELETE FROM projects")
    project.ok("backup", "restore", "staging", "--backup", backup["id"], "--yes")
    assert project.psql("SELECT name FROM projects") == "precious"
    shell = project.ok("deploy", "exec", "staging", "--service", "postgres", "--", "pg_isready")
    assert "accepting connections" in shell.out
    assert project.ok("smoke", "staging").code == 0
