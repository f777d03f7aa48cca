"""What editors are told about the TOML files is what the loader does."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft7Validator
from tests.unit.env.conftest import Write

from stockctl.env.load import try_load
from stockctl.env.model import Environment
from stockctl.env.schema import schema
from stockctl.env.types import Table

REPOSITORY = Path(__file__).parents[3]
FILES = sorted((REPOSITORY / "environments").glob("*.toml"))


def wrong(text: str) -> list[str]:
    found = Draft7Validator(schema()).iter_errors(tomllib.loads(text))
    return sorted(error.json_path for error in found)


def test_it_is_a_schema_of_its_draft() -> None:
    Draft7Validator.check_schema(schema())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_of_this_repository_passes(file: Path) -> None:
    assert wrong(file.read_text()) == []


# one key with a value each; the loader must agree with the schema about every one of them
GOOD = [
    'extends = "base"',
    "protected = true",
    'stage = "production"',
    "[service]\nport = 5000",
    '[service]\nport = "${PORT}"',
    '[service]\nport = "5000"',
    '[service]\nurl = "${URL}"',
    '[service]\nname = "a-${NAME}"',
    '[service]\nhealth = "${HEALTH}"',
    "[variables.X]\ndeprecated = true",
    '[variables.X]\ndeprecated = "use Y"',
    '[variables.X]\ntype = "${TYPE}"',
    '[deploy]\nstrategy = "${STRATEGY}"',
    '[deploy]\nhealth_timeout = "1h30m"',
    '[deploy]\nhealth_timeout = "${TIMEOUT}"',
    '[backup]\nkeep = { last = 3, within = "48h" }',
    '[[smoke]]\nname = "a"\npath = "/"\nstatus = ["${STATUS}", 201]\njson = { a = [1, "b"] }',
    '[[smoke]]\nname = "a"\npath = "/"\nany_status = "${STATUS}"',
    '[seal.recipients]\nada = "age1x"',
]
BAD = {
    'nmae = "x"': "$",
    "extends = 1": "$.extends",
    'protected = "true"': "$.protected",
    'protected = "${PROTECTED}"': "$.protected",
    'stage = "prod"': "$.stage",
    "[service]\nport = 0": "$.service.port",
    "[service]\nport = 65536": "$.service.port",
    '[service]\nport = "http"': "$.service.port",
    "[service]\nport = 80.5": "$.service.port",
    '[service]\nname = "Notes"': "$.service.name",
    "[service]\ncompose = []": "$.service.compose",
    '[service]\ncompose = "compose.yaml"': "$.service.compose",
    "[service]\nprot = 1": "$.service",
    "[deploy]\nhealth_timeout = 2": "$.deploy.health_timeout",
    '[deploy]\nhealth_timeout = "2"': "$.deploy.health_timeout",
    '[deploy]\nhealth_timeout = "2 s"': "$.deploy.health_timeout",
    '[deploy]\nstrategy = "rolling-ish"': "$.deploy.strategy",
    '[variables.X]\ntype = "number"': "$.variables.X.type",
    '[variables.X]\nsecret = "yes"': "$.variables.X.secret",
    "[backup]\nkeep = { last = -1 }": "$.backup.keep.last",
    '[[smoke]]\nname = "a"': "$.smoke[0]",
    '[[smoke]]\nname = "a"\npath = "x"': "$.smoke[0].path",
    '[[smoke]]\nname = "a"\npath = "/"\nstatus = []': "$.smoke[0].status",
    '[[smoke]]\nname = "a"\npath = "/"\njson_body = {}': "$.smoke[0]",
    "[seal.recipients]\nada = 1": "$.seal.recipients.ada",
}
VALUES = {
    "PORT": "5000",
    "URL": "https://a.example",
    "NAME": "x",
    "HEALTH": "/up",
    "TYPE": "int",
    "STRATEGY": "recreate",
    "TIMEOUT": "90s",
    "STATUS": "200",
    "PROTECTED": "true",
}
# what the written keys need around them; `extends` brings it, as it would in a real project
BASE = """
[service]
name = "a"
compose = ["compose.yaml"]
release = ["app"]
web = "app"
port = 1
image = "a"
url = "http://a"
"""


@pytest.mark.parametrize("text", GOOD)
def test_what_loads_passes(text: str, write: Write) -> None:
    assert wrong(text) == []
    assert not loader(text, write)


@pytest.mark.parametrize("text", BAD)
def test_what_does_not_load_fails_at_the_same_key(text: str, write: Write) -> None:
    assert wrong(text) == [BAD[text]]
    assert loader(text, write)


def loader(text: str, write: Write) -> tuple[object, ...]:
    """The findings of the same text, in a project that has the rest."""
    text = text if text.startswith("extends") else f'extends = "base"\n{text}'
    return try_load(write(base=BASE, local=text), "local", VALUES).findings


def test_nothing_is_asked_of_a_file_that_another_may_hold() -> None:
    def needed(node: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(node, dict):
            if isinstance(node.get("required"), list):
                yield path, node["required"]
            for key, inner in node.items():
                yield from needed(inner, f"{path}.{key}")

    assert list(needed(schema(), "")) == [(".properties.smoke.items", ["name", "path"])]


def test_its_keys_are_those_of_the_model() -> None:
    def same(model: type[Table], table: dict[str, Any]) -> None:
        fields = {f.alias or name: f for name, f in model.model_fields.items() if not f.exclude}
        assert set(table["properties"]) == set(fields)
        assert table["additionalProperties"] is False
        for name, field in fields.items():
            node = table["properties"][name]
            assert node["description"] == field.description
            for inner in _tables(field.annotation):
                place = node if "properties" in node else node.get("items")
                same(inner, place or node["additionalProperties"])

    same(Environment, schema())


def _tables(annotation: Any) -> list[type[Table]]:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return [annotation]
    return [found for part in get_args(annotation) for found in _tables(part)]


def test_defaults_read_as_they_are_written() -> None:
    deploy = schema()["properties"]["deploy"]["properties"]
    assert deploy["health_timeout"]["default"] == "1m"
    assert deploy["keep"]["default"] == 5
    assert "default" not in schema()["properties"]["extends"]
