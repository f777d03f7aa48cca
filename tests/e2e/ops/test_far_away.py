"""A machine that cannot be reached, or is another one than before: every command says so in time,
with the code for a host that failed, and changes nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.ops.conftest import IMAGE, Small, make, take_away
from tests.remotes import Sshd, make_key

COMMANDS = {
    "deploy": ("deploy", "site", "--image", IMAGE),
    "plan": ("deploy", "site", "--image", IMAGE, "--plan"),
    "rollback": ("deploy", "rollback", "--yes"),
    "status": ("deploy", "status"),
    "history": ("deploy", "history"),
    "logs": ("deploy", "logs"),
    "exec": ("deploy", "exec", "--", "true"),
    "watch": ("deploy", "watch", "--for", "1s"),
    "tidy": ("deploy", "tidy"),
    "lock": ("deploy", "lock", "--message", "no"),
    "unlock": ("deploy", "unlock"),
    "journal": ("journal",),
}


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd) -> Iterator[Small]:
    """Of a machine that is asked for at `port`."""
    small = make(tmp_path_factory.mktemp("away") / "project")
    yield small
    take_away(small)


def at(small: Small, sshd: Sshd, port: int, known: str) -> None:
    text = small.file.read_text().partition("[host]")[0]
    small.file.write_text(
        f'{text}[host]\nssh = "127.0.0.1:{port}"\nidentity_file = "{sshd.key}"\n'
        f'directory = "{small.root / "there"}"\n'
    )
    (small.file.parent / "known_hosts").write_text(known)


def told(small: Small, name: str) -> str:
    """The message of its one error; it ended in time, as a host that failed."""
    began = time.monotonic()
    done = small.run(*COMMANDS[name])
    assert time.monotonic() - began < 60
    assert done.code == 6, done.err
    assert not (small.root / "there").exists()
    return done.err


@pytest.mark.parametrize("name", COMMANDS)
def test_nobody_is_there(away: Small, sshd: Sshd, name: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # not listening: refused at once
        port = free.getsockname()[1]
        at(away, sshd, port, sshd.known_hosts.read_text().replace(str(sshd.port), str(port)))
        said = told(away, name)
    assert f"127.0.0.1:{port}" in said and "refused" in said.lower(), said


@pytest.mark.parametrize("name", COMMANDS)
def test_it_shows_another_key(away: Small, sshd: Sshd, tmp_path: Path, name: str) -> None:
    at(away, sshd, sshd.port, f"[127.0.0.1]:{sshd.port} {make_key(tmp_path / 'other')}")
    assert "is not the one in" in told(away, name)


def test_it_takes_the_call_and_says_nothing(away: Small, sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        at(away, sshd, port, sshd.known_hosts.read_text().replace(str(sshd.port), str(port)))
        assert "cannot connect to 127.0.0.1" in told(away, "deploy")
