"""An image on its way to another machine: only the layers that are not there."""

from __future__ import annotations

import io
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stockctl.core.errors import ToolFailed
from stockctl.core.progress import Step, silent
from stockctl.deploy.parcel import _stream, thin
from stockctl.system.engine import Engine
from stockctl.system.local import LocalHost
from stockctl.system.ssh import SshHost
from tests.remotes import Sshd, children, within

BASE = "debian:bookworm-slim"


def docker(*arguments: str, given: bytes = b"") -> bytes:
    done = subprocess.run(["docker", *arguments], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def image() -> Iterator[str]:
    """Debian with one more layer."""
    name = f"sco-parcel-{uuid.uuid4().hex[:8]}"
    docker("run", "--name", name, BASE, "sh", "-c", "echo hello >/hello")
    docker("commit", name, name)
    docker("rm", name)
    yield name
    subprocess.run(["docker", "rmi", "-f", name], capture_output=True, check=False)


def test_what_is_there_is_left_out_and_the_rest_is_enough(image: str) -> None:
    engine = Engine()
    image_id = engine.image_id(image)
    assert image_id is not None
    layers, below = engine.layers(image_id), engine.layers(BASE)
    engine.close()
    assert layers[: len(below)] == below and len(layers) == len(below) + 1
    whole = docker("image", "save", image_id)
    out = io.BytesIO()
    thin(io.BytesIO(whole), out, {digest.removeprefix("sha256:") for digest in below})
    assert len(out.getvalue()) < len(whole) / 100
    docker("rmi", "-f", image)
    docker("image", "load", given=out.getvalue())
    assert docker("run", "--rm", image_id, "cat", "/hello") == b"hello\n"
    docker("tag", image_id, image)


def test_it_goes_through_the_line(image: str, sshd: Sshd) -> None:
    engine = Engine()
    image_id = engine.image_id(image)
    assert image_id is not None
    known = frozenset(engine.layers(BASE))
    engine.close()
    with SshHost(sshd.target) as host:
        site: Any = SimpleNamespace(here=LocalHost(), host=host)
        _stream(site, image_id, known, Step("image", silent))
        with pytest.raises(ToolFailed, match="docker failed"):
            _stream(site, "sha256:" + "0" * 64, known, Step("image", silent))


def asking(sshd: Sshd) -> int:
    """How many `docker system dial-stdio` run over there: one for each session with the engine."""
    found, left = 0, [sshd.process.pid]
    while left:
        below = children(left.pop())
        left += below
        for pid in below:
            with suppress(OSError):
                said = Path(f"/proc/{pid}/cmdline").read_bytes()
                found += said.split(b"\0")[:3] == [b"docker", b"system", b"dial-stdio"]
    return found


def test_what_is_asked_of_the_engine_there_shares_a_session(sshd: Sshd) -> None:
    with SshHost(sshd.target) as host, closing(Engine(at=host.engine)) as engine:
        for number in range(12):
            assert engine.version()
            assert engine.image_id(f"none-{number}") is None
        assert asking(sshd) == 1
        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(lambda _: engine.image_id(BASE), range(24)))
        assert within(5, lambda: asking(sshd) <= 2)
        engine.close()
        assert within(5, lambda: asking(sshd) == 0)
