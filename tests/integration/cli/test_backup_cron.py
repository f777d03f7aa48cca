"""`backup create` as cron runs it: silent, heard of by others, and held up by nobody."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.answering import Quiet, serving


class Switch(Quiet, http.server.BaseHTTPRequestHandler):
    """A dead man's switch that remembers who called."""

    calls: list[str] = []

    def do_GET(self) -> None:
        self.calls.append(self.path)
        self.send_response(404 if "gone" in self.path else 200)
        self.end_headers()


@pytest.fixture
def switch() -> Iterator[str]:
    Switch.calls = []
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Switch)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def configure(project: Path, **keys: str) -> None:
    file = project / "environments" / "local.toml"
    lines = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    file.write_text(file.read_text() + f"\n[backup]\n{lines}")


def test_silent_pinged_and_counted(stockctl: Any, project: Path, switch: str) -> None:
    configure(project, ping="${PING}", metrics="metrics/backup.prom")
    local = project / "environments" / "local.toml"
    local.write_text(f"{local.read_text()}keep = {{ last = 1 }}\nminimum = 1\n")
    done = stockctl("-q", "backup", "create", "local", PING=f"{switch}/c4n4ry-uuid")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert Switch.calls == ["/c4n4ry-uuid/start", "/c4n4ry-uuid/0"]
    metrics = project / "environments" / "metrics" / "backup.prom"
    assert metrics.stat().st_mode & 0o777 == 0o644
    assert 'stockctl_backup_count{environment="local"} 1.0' in metrics.read_text()
    assert [each.name for each in metrics.parent.iterdir()] == ["backup.prom"]
    assert stockctl("-q", "backup", "create", "local", PING="").code == 0
    assert 'stockctl_backup_count{environment="local"} 2.0' in metrics.read_text()
    pruned = stockctl("-q", "backup", "prune", "local", "--yes", PING="")
    assert (pruned.code, pruned.out, pruned.err) == (0, "", "")
    assert 'stockctl_backup_count{environment="local"} 1.0' in metrics.read_text()
    metrics.unlink()  # as a prune that was killed leaves it: the next one has nothing to remove
    assert stockctl("-q", "backup", "prune", "local", "--yes", PING="").code == 0
    assert 'stockctl_backup_count{environment="local"} 1.0' in metrics.read_text()
    store = project / ".stockctl" / "local" / "backups"
    store.rename(store.with_name("elsewhere"))
    store.write_text("in the way")
    done = stockctl("-q", "backup", "create", "local", PING=f"{switch}/c4n4ry-uuid")
    assert done.code == 6
    assert Switch.calls[2:] == ["/c4n4ry-uuid/start", "/c4n4ry-uuid/6"]
    assert "c4n4ry-uuid" not in done.err


def test_a_ping_that_fails_fails_no_backup(stockctl: Any, project: Path, switch: str) -> None:
    configure(project, ping="${PING}", metrics="/proc/nowhere/backup.prom")
    done = stockctl("-q", "backup", "create", "local", PING=f"{switch}/gone")
    assert done.code == 0
    assert done.err.count("backup.ping") == 2
    assert "backup.metrics" in done.err
    assert "gone" not in done.err
    listed = stockctl("backup", "list", "local", "--json", PING="").document["data"]["backups"]
    assert len(listed) == 1
