"""`[gates]`: what must hold before `deploy` touches anything."""

from __future__ import annotations

import re

from pydantic import Field, StrictBool, field_validator

from stockctl.env.types import Duration, Number, Table

NAME = re.compile(r"[a-z][a-z0-9-]*")
ON_CALL = "on-call"
BUILT_IN = (
    "environment",
    "migrations",
    "lint",
    "backup-age",
    "backup-verified",
    "backup-drilled",
    "staging",
    "smoke",
    "load",
    "rollback",
    "rehearsal",
    "disk",
    "connections",
    "certificate",
    ON_CALL,
)


class CommandGate(Table):
    """A program of yours that must end with 0. It runs on this machine, at the project's root."""

    run: tuple[str, ...] = Field(
        min_length=1, description="The program and its arguments; no shell."
    )
    timeout: Duration = Field(300.0, description="How long it may take.")
    fresh_for: Duration = Field(
        0.0, description="How long a pass counts before it is run again, for the same version."
    )


class PersonGate(Table):
    """A question that a person answers: `deploy preflight ENV --answer NAME=TEXT`."""

    ask: str = Field(min_length=1, description="The question.")
    valid_for: Duration = Field(86400.0, description="How long an answer counts.")


class GateSettings(Table):
    """What must hold before `deploy` touches anything; one that is absent is not asked. That the
    environment is valid and no migration is dirty or changed is always asked. [Gates](gates.md)"""

    lint: StrictBool = Field(False, description="`db lint` finds no error.")
    backup_younger_than: Duration | None = Field(None, description="The age of the newest backup.")
    backup_verified_within: Duration | None = Field(
        None, description="One was found whole by `backup verify` within this time."
    )
    backup_drilled_within: Duration | None = Field(
        None, description="One was restored by `backup verify --drill` within this time."
    )
    staging: str | None = Field(
        None, description="The environment where the same image must be live and well."
    )
    staging_for: Duration = Field(172800.0, description="For at least this long.")
    smoke_within: Duration | None = Field(
        None, description="Smoke checks passed there (without `staging`: here) within this time."
    )
    load_within: Duration | None = Field(
        None,
        description="`stockctl load` passed there (without `staging`: here) within this time, the"
        " whole profile of `load_profile`.",
    )
    load_profile: str = Field("normal", min_length=1, description="Which one.")
    rollback_within: Duration | None = Field(
        None, description="`deploy rollback` succeeded there (without `staging`: here) within this."
    )
    rehearsed_within: Duration | None = Field(
        None, description="`deploy rehearse` passed here with this version within this time."
    )
    disk_used_at_most: Number | None = Field(
        None, ge=1, le=100, description="Percent of the disk under `host.directory`."
    )
    connections_used_at_most: Number | None = Field(
        None, ge=1, le=100, description="Percent of the server's connections."
    )
    certificate_valid_for: Duration | None = Field(
        None, description="How long the certificate of an https `service.url` must still hold."
    )
    on_call: Duration | None = Field(
        None,
        description="Somebody was named as on call within this time: the question `on-call`, which"
        " is answered like those of `gates.people`.",
    )
    commands: dict[str, CommandGate] = Field(
        default_factory=dict, description="`[gates.commands.NAME]`, once for each program."
    )
    people: dict[str, PersonGate] = Field(
        default_factory=dict, description="`[gates.people.NAME]`, once for each question."
    )

    @property
    def questions(self) -> dict[str, PersonGate]:
        """Everything that a person is asked: what is built in, and `people`."""
        if self.on_call is None:
            return self.people
        asked = PersonGate.model_construct(ask="Who is on call?", valid_for=self.on_call)
        return {ON_CALL: asked, **self.people}

    @field_validator("commands", "people")
    @classmethod
    def _names(cls, value: dict[str, Table]) -> dict[str, Table]:
        for name in value:
            if not NAME.fullmatch(name):
                raise ValueError(f'"{name}": a gate is called like "npm-audit"')
            if name in BUILT_IN:
                raise ValueError(f'"{name}" is built in: call yours otherwise')
        return value
