"""`[load.NAME]`: how much load, for how long, and what must hold under it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from stockctl.env.types import Duration, Number, Table

# The plan's: a normal hour, a spike, a night.
BUILT_IN: dict[str, dict[str, Any]] = {
    "normal": {"users": 100, "duration": 3600.0},
    "spike": {"users": 500, "duration": 600.0, "shape": "spike"},
    "soak": {"users": 50, "duration": 28800.0, "memory_growth": 20},
}


class LoadProfile(Table):
    """A profile of `stockctl load`. `normal` (100 users, an hour), `spike` (500, 10 minutes) and
    `soak` (50, 8 hours) are there without being written; what a table of theirs sets replaces their
    values. [Load](load.md)"""

    users: Number = Field(10, ge=1, le=100_000, description="Users at once.")
    duration: Duration = Field(300.0, description="How long all of it takes.")
    shape: Literal["steady", "spike"] = Field(
        "steady",
        description="`steady`: all users after a tenth of the time, half a minute at most."
        " `spike`: a tenth of them, in the middle third all of them, then a tenth again.",
    )
    pause: Duration = Field(1.0, description="Between two rounds of a user.")
    tag: str = Field(
        "load", description="Checks with this tag are sent; where none has it, every plain GET."
    )
    p95_ms: Number = Field(500, ge=1, description="95 of 100 answers come within this.")
    error_rate: Number = Field(
        1, ge=0, le=100, description="Percent of the answers that are not as declared, at most."
    )
    cpu: Number = Field(
        80, ge=1, le=100, description="Percent of the processors that its containers take, mean."
    )
    memory: Number = Field(
        90, ge=1, le=100, description="Percent of its limit that a container takes, at most."
    )
    memory_growth: Number | None = Field(
        None, ge=0, description="Percent that memory may grow, from the second fifth to the last."
    )


def profile(written: Mapping[str, LoadProfile], name: str) -> LoadProfile | None:
    """What is written, over what is built in. None where there is neither."""
    own = written.get(name)
    if own is None and name not in BUILT_IN:
        return None
    said = {key: getattr(own, key) for key in own.model_fields_set} if own else {}
    return LoadProfile().model_copy(update={**BUILT_IN.get(name, {}), **said})
