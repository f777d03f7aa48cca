"""`[hooks]` and `[notify]`: who is told of a deploy, and who may stop it."""

from __future__ import annotations

import string
from typing import Literal

from pydantic import Field, field_validator

from stockctl.env.event import Event
from stockctl.env.types import Duration, FilePath, SecretValue, Table

EventName = Literal[
    "before-deploy", "before-switch", "after-switch", "after-deploy", "failed",
    "before-rollback", "after-rollback",
]  # fmt: skip
PLACEHOLDERS = (
    "event", "environment", "what", "release", "version", "previous", "previous_version",
    "commit", "who", "url", "error", "duration",
)  # fmt: skip
_LISTED = ", ".join(f"`{{{name}}}`" for name in PLACEHOLDERS)
TEMPLATE = "{environment}: {what}"


class Hooks(Table):
    """Programs of yours, run where stockctl runs. [Hooks](hooks.md) has what they are told."""

    before_deploy: tuple[FilePath, ...] = Field(
        (), alias="before-deploy", description="Nothing was touched yet; exit ≠ 0: nothing will be."
    )
    before_switch: tuple[FilePath, ...] = Field(
        (),
        alias="before-switch",
        description="The last moment before the new release gets requests; exit ≠ 0: it gets none.",
    )
    after_switch: tuple[FilePath, ...] = Field(
        (), alias="after-switch", description="The new release gets the requests."
    )
    after_deploy: tuple[FilePath, ...] = Field(
        (), alias="after-deploy", description="It is the live release."
    )
    failed: tuple[FilePath, ...] = Field(
        (), description="A deploy or rollback failed; what served before does so again."
    )
    before_rollback: tuple[FilePath, ...] = Field(
        (), alias="before-rollback", description="Exit ≠ 0: nothing is touched."
    )
    after_rollback: tuple[FilePath, ...] = Field(
        (), alias="after-rollback", description="The earlier release serves."
    )
    timeout: Duration = Field(60.0, gt=0, description="How long each program may take.")
    variables: tuple[str, ...] = Field(
        (),
        description="Keys of the env file, else of the process environment, that they get. Without"
        " being named here none is handed on.",
    )

    def programs(self, event: Event) -> tuple[FilePath, ...]:
        """What is to run at an event."""
        found: tuple[FilePath, ...] = getattr(self, event.replace("-", "_"))
        return found


class Notify(Table):
    """Messages to webhooks that take Slack's `{"text": …}`."""

    webhooks: tuple[SecretValue, ...] = Field(
        (), description="Addresses; they are secrets: whoever knows one can write there."
    )
    events: tuple[EventName, ...] = Field(
        ("after-deploy", "failed", "after-rollback"),
        description="Of what they hear: the keys of `[hooks]`.",
    )
    template: str = Field(
        TEMPLATE,
        description=f"The text. It may hold {', '.join(f'`{{{p}}}`' for p in PLACEHOLDERS)}.",
    )
    timeout: Duration = Field(5.0, gt=0, description="How long one may take to answer.")

    @field_validator("template")
    @classmethod
    def _can_be_filled_in(cls, value: str) -> str:
        for _, name, spec, conversion in string.Formatter().parse(value):
            if name is not None and (name not in PLACEHOLDERS or spec or conversion):
                known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
                raise ValueError(f"{{{name}}} is not one of {known}; a brace is written {{{{")
        return value

    @field_validator("webhooks")
    @classmethod
    def _are_addresses(cls, value: tuple[SecretValue, ...]) -> tuple[SecretValue, ...]:
        if not all(each.reveal().startswith(("https://", "http://")) for each in value):
            raise ValueError("a webhook begins with https://")
        return value
