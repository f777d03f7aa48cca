"""What docker compose is asked, compared as argv; and what it answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stockctl.core.command import Command
from stockctl.core.errors import ToolFailed
from stockctl.core.secret import Secret
from stockctl.system import compose
from stockctl.system.compose import RELEASE_LABEL, Rendered, Stack

CANARY = "c4n4ry7f3a91x"
STACK = Stack("shop-prod", Path("/srv/shop/r0001.json"))
HEAD = (
    *("docker", "compose", "-p", "shop-prod", "-f", "/srv/shop/r0001.json"),
    *("--env-file", "/dev/null", "--progress", "plain"),
)


def test_render_takes_values_through_the_environment_and_not_argv() -> None:
    command = compose.render(
        "shop-prod",
        [Path("/p/a.yaml"), Path("/p/b.yaml")],
        {"PASSWORD": Secret(CANARY)},
        Path("/p"),
    )
    assert command == Command(
        (
            *("docker", "compose", "-p", "shop-prod", "-f", "/p/a.yaml", "-f", "/p/b.yaml"),
            *("--env-file", "/dev/null", "config", "--format", "json"),
        ),
        environment={"PASSWORD": CANARY},
        directory=Path("/p"),
    )
    assert CANARY not in str(command)


STARTED = {
    "start": (
        STACK.start(["app"]),
        ("up", "--detach", "--no-recreate", "--no-deps", "--no-build", "app"),
    ),
    "replace": (
        STACK.replace(["app", "worker"], 29.6),
        ("up", "--detach", "--no-deps", "--no-build", "--timeout", "30", "app", "worker"),
    ),
    "remove": (STACK.remove(["app"]), ("rm", "--stop", "--force", "app")),
}


@pytest.mark.parametrize("name", STARTED)
def test_a_stack_s_commands_are_these(name: str) -> None:
    command, tail = STARTED[name]
    assert command == Command((*HEAD, *tail))


def test_entering_pulling_and_asking_are_these() -> None:
    assert compose.enter("p", "db") == ("docker", "compose", "-p", "p", "exec", "-T", "db")
    assert compose.pull("a/b:1").argv == ("docker", "pull", "a/b:1")
    assert compose.version().argv == ("docker", "compose", "version", "--short")


def test_a_build_is_a_document_on_standard_input() -> None:
    command = compose.build(Path("/src/$app"), "shop:1.4", "1.4")
    assert command.argv == (
        *("docker", "compose", "-f", "-", "--env-file", "/dev/null"),
        *("--progress", "plain", "build"),
    )
    assert command.input is not None
    text = command.input.reveal()
    assert "/src/$$app" in text  # compose would take $app for a variable
    service = json.loads(text.replace("$$", "$"))["services"]["image"]
    assert service == {
        "image": "shop:1.4",
        "build": {
            "context": "/src/$app",
            "args": {"VERSION": "1.4"},
            "labels": {"org.opencontainers.image.version": "1.4"},
        },
    }


def test_an_image_says_what_it_was_built_from() -> None:
    command = compose.build(Path("/src"), "shop:1.4", "1.4", "0a1b2c-dirty")
    assert command.input is not None
    labels = json.loads(command.input.reveal())["services"]["image"]["build"]["labels"]
    assert labels["org.opencontainers.image.revision"] == "0a1b2c-dirty"


def test_a_program_in_a_container_gets_variables_by_name_only() -> None:
    argv = ("sh", "-c", "env")
    assert compose.enter_container("c1", argv).argv == (
        *("docker", "exec", "--interactive", "c1"),
        *argv,
    )
    flags = ("--interactive", "--tty", "--env", "TOKEN", "--user", "app")
    found = compose.enter_container("c1", argv, terminal=True, variables=["TOKEN"], user="app")
    assert found.argv == ("docker", "exec", *flags, "c1", *argv)


DOCUMENT: dict[str, Any] = {
    "name": "shop-prod",
    "networks": {"default": {"name": "shop-prod_default"}},
    "volumes": {"data": {}},
    "services": {
        "app": {
            "image": "shop",
            "build": {"context": "/src"},
            "environment": {"A": "1"},
            "labels": {"own": "x"},
            "ports": [{"target": 5000}],
        },
        "db": {"image": "postgres:16", "volumes": [{"source": "data"}]},
    },
}


def test_pinning_binds_the_released_service_and_keeps_everything_else() -> None:
    before = json.dumps(DOCUMENT)
    pinned = Rendered(DOCUMENT).pinned(["app"], "sha256:abc", "r0007").document
    assert pinned["services"]["app"] == {
        "image": "sha256:abc",
        "pull_policy": "never",
        "environment": {"A": "1"},
        "labels": {"own": "x", RELEASE_LABEL: "r0007"},
        "ports": [{"target": 5000}],
    }
    assert pinned["services"]["db"] == DOCUMENT["services"]["db"]
    rest = {key: value for key, value in pinned.items() if key != "services"}
    assert rest == {key: value for key, value in DOCUMENT.items() if key != "services"}
    assert json.dumps(DOCUMENT) == before


def test_a_service_without_labels_gets_one() -> None:
    pinned = Rendered({"services": {"app": {}}}).pinned(["app"], "i", "r1").document
    assert pinned["services"]["app"]["labels"] == {RELEASE_LABEL: "r1"}


def test_a_configuration_comes_back_from_its_bytes() -> None:
    rendered = Rendered(DOCUMENT)
    assert Rendered.parse(rendered.to_bytes()) == rendered
    assert rendered.services == ("app", "db")


def test_a_service_gets_exactly_these_variables_as_they_are() -> None:
    rendered = Rendered(DOCUMENT).with_environment("app", {"B": "pa$word"}).document
    assert rendered["services"]["app"]["environment"] == {"B": "pa$$word"}
    assert rendered["services"]["db"] == DOCUMENT["services"]["db"]
    assert DOCUMENT["services"]["app"]["environment"] == {"A": "1"}


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "5", '"x"', '{"services": []}', '{"services": null}', b"\xff"]
)
def test_what_is_no_configuration_is_refused(text: str | bytes) -> None:
    with pytest.raises(ToolFailed, match="not a configuration"):
        Rendered.parse(text)
