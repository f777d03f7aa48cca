"""A machine that shares nothing with this one, for all tests that need one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.rolling.conftest import IMAGE, Shop, make
from tests.machine import Machine, serve_machine
from tests.remotes import Wire, wire

ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=10).read().decode())"


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    with serve_machine() as served:
        served.give("stockctl-testbed/haproxy:2.6")
        yield served


@pytest.fixture
def far(machine: Machine, tmp_path: Path) -> Iterator[Shop]:
    """A project of this machine for that one; nothing is deployed yet."""
    with project(machine, tmp_path / "project") as shop:
        yield shop


@contextmanager
def project(machine: Machine, root: Path) -> Iterator[Shop]:
    """The same, for as long as the block runs. Nothing of it is left over there."""
    shop = make(root)
    shutil.copy(machine.sshd.known_hosts, shop.root / "environments" / "known_hosts")
    file = shop.root / "environments" / "staging.toml"
    host = machine.toml(f"/srv/{shop.name}")
    file.write_text(file.read_text().replace("[deploy]\n", f"{host}\n[deploy]\n"))
    yield shop
    for kind, remove in (("container", ("rm", "-f")), ("network", ("rm",))):
        argv = (kind, "ls", "-q", "--filter", f"name={shop.compose_project}")
        found = machine.docker(*argv, *(["-a"] if kind == "container" else [])).split()
        if found:
            machine.docker(kind, *remove, *found)
    kept = f"stockctl-kept/{shop.compose_project}"
    images = machine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", kept).split()
    if images:
        machine.docker("image", "rm", "--force", *images)


@contextmanager
def over_a_wire(machine: Machine, shop: Shop) -> Iterator[Wire]:
    """The project reaches the machine through a wire that counts, for as long as the block runs."""
    toml, known = (shop.root / "environments" / name for name in ("staging.toml", "known_hosts"))
    before, sshd = (toml.read_text(), known.read_text()), machine.sshd
    with wire(sshd.port, host=sshd.host) as line:
        toml.write_text(before[0].replace(f"{sshd.host}:{sshd.port}", f"127.0.0.1:{line.port}"))
        known.write_text(
            before[1].replace(f"[{sshd.host}]:{sshd.port}", f"[127.0.0.1]:{line.port}")
        )
        yield line
    toml.write_text(before[0])
    known.write_text(before[1])


def serves(machine: Machine, shop: Shop) -> str:
    """What its users get there."""
    return machine.run("python3", "-c", ASK, shop.url)


def deployed(shop: Shop, version: str, *more: str) -> str:
    shop.set(VERSION=version)
    done = shop.run("deploy", "staging", "--image", IMAGE, "-v", *more)
    assert done.code == 0, done.err
    return done.err
