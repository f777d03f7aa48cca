"""An image that lies in a registry of the other machine's own: this one never sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.far.conftest import serves
from tests.e2e.rolling.conftest import IMAGE, Shop
from tests.machine import Machine
from tests.registries import Registry, serve_registry


@pytest.fixture
def registry(machine: Machine) -> Iterator[Registry]:
    """It listens on that machine's 127.0.0.1, where ours cannot go."""
    folder = machine.home / "registry"
    with serve_registry(folder, inside=machine.inside) as served:
        yield served


def pulled(shop: Shop, reference: str, version: str, code: int = 0) -> str:
    shop.set(VERSION=version)
    done = shop.run("deploy", "staging", "--image", reference, "-v")
    assert done.code == code, done.err
    return done.err


def test_it_is_pulled_there_and_the_way_back_needs_no_registry(
    machine: Machine, far: Shop, registry: Registry
) -> None:
    machine.give(IMAGE)
    tag, digest = registry.publish("shop:1.4", IMAGE)
    machine.docker("rmi", IMAGE)
    assert "sent to" not in pulled(far, tag, "v1")
    assert serves(machine, far) == "v1"
    assert far.ok("deploy", "exec", "staging", "--", "printenv", "PUBLISHED").out == "shop:1.4\n"
    planned = far.ok("deploy", "staging", "--image", digest, "--plan")
    assert f"({digest.partition('@sha256:')[2][:12]})" in planned.err
    pulled(far, digest, "v2")

    registry.stop()
    gone = pulled(far, f"{registry.address}/shop:1.5", "v3", code=9)
    where = f"cannot be pulled on {machine.sshd.host}: {registry.address} does not answer"
    assert f"r0003 was withdrawn, r0002 serves: {registry.address}/shop:1.5 {where}" in gone
    assert f"docker pull {registry.address}/shop:1.5" in gone  # here, from where it is sent
    machine.docker("image", "prune", "--all", "--force")  # only names of ours keep it
    assert far.back().code == 0
    assert serves(machine, far) == "v1"
