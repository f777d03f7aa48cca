"""`status` of an environment on another machine: what is looked at there, and that it is away."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.remotes import Sshd, serve_ssh

PROGRAM = str(Path(sys.executable).with_name("stockctl"))
DF = """#!/bin/sh
echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'
echo '/dev/vda1 1000000 970000 30000 97% /'
"""


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A machine whose disk is fuller than ours."""
    with serve_ssh(tmp_path_factory.mktemp("far")) as server:
        (server.folder / "bin").mkdir()
        (server.folder / "bin" / "df").write_text(DF)
        (server.folder / "bin" / "df").chmod(0o755)
        with (server.folder / ".bashrc").open("a") as file:
            file.write('\nexport PATH="$HOME/bin:$PATH"\n')
        yield server


def status(root: Path, far: Sshd, port: int) -> tuple[dict[str, Any], float]:
    environments = root / "environments"
    environments.mkdir(exist_ok=True)
    (environments / "compose.yaml").write_text("services: {app: {image: shop}}\n")
    known = far.known_hosts.read_text().replace(f":{far.port} ", f":{port} ")
    (environments / "known_hosts").write_text(known)
    (environments / "prod.toml").write_text(
        f"""
[host]
ssh = "127.0.0.1:{port}"
identity_file = "{far.key}"
directory = "{root}/there"
[service]
name = "shop"
compose = ["compose.yaml"]
release = ["app"]
web = "app"
port = 80
image = "shop"
url = "http://127.0.0.1:1"
[database]
url = "postgresql://shop@127.0.0.1:1/shop"
"""
    )
    began = time.monotonic()
    done = subprocess.run(
        [PROGRAM, "status", "prod", "--json"],
        cwd=root,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["data"]
    return found, time.monotonic() - began


def test_the_disk_is_that_of_the_machine_it_lives_on(far: Sshd, tmp_path: Path) -> None:
    found, _ = status(tmp_path, far, far.port)
    assert found["host"]["total_bytes"] == 1_000_000 * 1024
    assert found["host"]["level"] == "bad"
    assert "stockctl backup prune prod --plan" in [each["command"] for each in found["advice"]]


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_a_machine_that_is_away_is_told_of_in_time(far: Sshd, tmp_path: Path, how: str) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if how == "hangs":
            listening.listen()  # the kernel connects, nobody ever answers
        port = listening.getsockname()[1]
        found, took = status(tmp_path, far, port)
    assert took < 20
    said = f"127.0.0.1:{port}" if how == "refuses" else "no answer within 2 s"
    for piece in ("release", "host"):
        assert found[piece]["level"] == "unknown", piece
        assert said in found[piece]["error"], piece
    assert found["health"]["level"] in ("unknown", "bad")
    # what is not over there is asked all the same; why there is none, only that machine knows
    assert found["backups"].get("count") == (0 if how == "refuses" else None)
    assert not found["well"]
