"""What is declared about variables: `[variables.NAME]`, and who may open them all: `[seal]`."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, StrictBool, field_validator

from stockctl.env.types import Number, Table

_EXPLODES = re.compile(r"\((?:\?:)?(?:\\?[^()\[\]]|\[[^\]]*\])[+*]\)[+*{]")


class Variable(Table):
    """What `env validate` knows about one variable of the env file."""

    type: Literal[
        "string",
        "secret",
        "int",
        "port",
        "bool",
        "duration",
        "url",
        "postgres_url",
        "email",
        "origins",
    ] = Field("string", description="`origins` is a comma-separated list of http(s) origins.")
    required: StrictBool = Field(False, description="Must be set and not empty.")
    secret: StrictBool | None = Field(
        None, description="Masked in every output. Default: by type, name and shape."
    )
    min_length: Number | None = Field(
        None, ge=1, description="In characters. Default: 32 where `type` is `secret`."
    )
    allowed: tuple[str, ...] = Field((), description="The only values it may have.")
    pattern: str | None = Field(
        None, description="A regular expression that the whole value must match."
    )
    different_from: tuple[str, ...] = Field(
        (), description="Variables of the same file that must not have the same value."
    )
    only_in: tuple[str, ...] = Field(
        (), description="The environments, or kinds of environment, that may set it. Default: all."
    )
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "require",
        description="For `postgres_url`: the weakest mode for a database on another host.",
    )
    deprecated: StrictBool | str = Field(False, description="`true`, or what to use in its place.")
    description: str = Field("", description="What it is for.")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if value and _EXPLODES.search(value):
            raise ValueError("a repeated group that repeats inside can take for ever")
        return value


class Seal(Table):
    """Who can open the sealed env file."""

    recipients: dict[str, str] = Field(
        default_factory=dict,
        description='Name to age public key: `alice = "age1…"` or `"ssh-ed25519 …"`.',
    )


Kind = Literal["production", "staging", "test", "development"]
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("prod", "production", "live"), "production"),
    **dict.fromkeys(("staging", "stage", "stg", "preprod", "uat", "qa", "preview"), "staging"),
    **dict.fromkeys(("test", "testing", "ci"), "test"),
    **dict.fromkeys(("local", "dev", "development", "sandbox"), "development"),
}


def kind_of(name: str) -> Kind | None:
    """What an environment's name says about it: `prod`, `eu-staging`."""
    return next((_KINDS[part] for part in name.split("-") if part in _KINDS), None)
