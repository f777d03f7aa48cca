"""Value types of the configuration: what people write, and what the code gets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
)
from pydantic.json_schema import WithJsonSchema

from stockctl.core.secret import MASK, Secret
from stockctl.core.units import parse_duration, write_duration


def _duration(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError(f'expected a duration like "2s", got {value!r}')
    return parse_duration(value)


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    raise ValueError("expected a string")


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(write_duration),
    WithJsonSchema({"type": "string", "examples": ["2s", "15m", "1h30m"]}),
]
"""Seconds; written `"2s"`, `"15m"`, `"1h30m"`."""

Number = Annotated[int, BeforeValidator(_number)]
"""A whole number, also as a string that a `${NAME}` made; `true` is none."""

SecretValue = Annotated[
    Secret,
    PlainValidator(_secret),
    PlainSerializer(lambda _: MASK),
    WithJsonSchema({"type": "string"}),
]
"""A string that never appears in any output."""

# Compose project names, https://docs.docker.com/compose/how-tos/project-name/
ProjectName = Annotated[str, StringConstraints(pattern=re.compile(r"^[a-z0-9][a-z0-9_-]*$"))]

FilePath = Annotated[
    Path, PlainSerializer(lambda path: str(path)), WithJsonSchema({"type": "string"})
]
"""Relative to the file that names it; absolute by the time a model sees it."""


class Table(BaseModel):
    """A TOML table: frozen, unknown keys refused, inputs kept out of error messages."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )
