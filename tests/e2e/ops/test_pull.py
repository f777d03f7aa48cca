"""Images from a registry that wants a login, goes away, or does not have them: it is said which,
what to do next, and what serves goes on serving."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.ops.conftest import IMAGE, Small, _docker
from tests.registries import PASSWORD, USER, Registry, serve_registry


@pytest.fixture
def registry(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Registry]:
    """For those who are logged in; docker keeps that in a folder of the test's own."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "docker").mkdir()
    (folder / "docker" / "cli-plugins").symlink_to(Path.home() / ".docker" / "cli-plugins")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder / "docker"))
    with serve_registry(folder / "registry", locked=True) as served:
        yield served


def log_in(registry: Registry) -> None:
    registry.docker("login", "-u", USER, "--password-stdin", registry.address, given=PASSWORD)


def names() -> list[str]:
    return _docker("image", "ls", "--digests", "--format", "{{.Repository}}@{{.Digest}}")


def refused(small: Small, reference: str, code: int) -> tuple[str, str]:
    """Its message and its hint."""
    done = small.run("deploy", "site", "--image", reference, "--json")
    assert done.code == code, done.err + done.out
    assert PASSWORD not in done.out + done.err
    error = done.data["error"]
    return error["message"], error["hint"]


def test_who_is_not_let_in_what_is_not_there_and_nobody_at_home(
    small: Small, registry: Registry
) -> None:
    log_in(registry)
    first, _ = registry.publish("web:1", IMAGE)
    _, digest = registry.publish("web:2", IMAGE)
    registry.docker("logout", registry.address)
    message, hint = refused(small, first, 6)  # nothing serves yet
    assert (
        message == f"{first} cannot be pulled on this machine: {registry.address} does not let"
        " us have it"
    )
    assert f"docker login {registry.address}\n" in hint
    assert small.live() is None

    log_in(registry)
    small.ok("deploy", "site", "--image", first)
    assert small.says() == "hello"
    message, hint = refused(small, f"{registry.address}/web:9", 9)
    assert message.startswith("r0003 was withdrawn, r0002 serves: ")
    assert f"{registry.address} does not have it" in message
    assert "was it pushed?" in hint

    compose = small.root / "environments" / "compose.yaml"
    alone = compose.read_text()
    compose.write_text(f"{alone}  cache: {{image: {registry.address}/cache:7}}\n")
    message, hint = refused(small, first, 6)  # not the release, but what it is to run beside
    assert message.startswith(f"{registry.address}/cache:7 cannot be pulled on this machine: ")
    assert "was it pushed?" in hint
    assert small.says() == "hello"
    compose.write_text(alone)

    small.set(GREETING="two")
    small.toml("[deploy]\nkeep = 2")
    small.ok("deploy", "site", "--image", digest)
    registry.stop()
    message, hint = refused(small, f"{registry.address}/web:9", 9)
    assert f"{registry.address} does not answer" in message
    assert "does this machine reach it?" in hint
    assert small.says() == "two"
    small.ok("deploy", "rollback", "--yes")
    assert small.says() == "hello"

    assert digest in names()
    for _ in range(2):
        assert small.deploy().code == 0
    assert digest not in names(), "what was pulled by its digest stays for ever"
