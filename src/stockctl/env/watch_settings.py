"""`[watch]`: what must not happen after a release went live."""

from __future__ import annotations

from pydantic import Field, StrictBool

from stockctl.env.types import Duration, Number, Table


class WatchSettings(Table):
    """Thresholds of `deploy watch`. One that is broken for `sustained` brings the previous release
    back. [Watching](watch.md)"""

    after_deploy: StrictBool = Field(
        False, description="`deploy ENV` goes on watching, and rolls back by itself."
    )
    duration: Duration = Field(1800.0, description="How long it is watched.")
    interval: Duration = Field(5.0, description="Between two looks.")
    sustained: Duration = Field(
        60.0, description="How long a threshold is broken before it counts."
    )
    requests: Number = Field(
        20, ge=1, description="Of fewer in `sustained` nothing is said about errors and duration."
    )
    error_rate: Number = Field(5, ge=0, le=100, description="Percent of the answers that are 5xx.")
    p95_ms: Number = Field(2000, ge=1, description="95 of 100 answers come within this.")
    cpu: Number = Field(
        95, ge=1, le=100, description="Percent of the processors that its containers may have."
    )
    memory: Number = Field(95, ge=1, le=100, description="Percent of a container's limit.")
    connections: Number | None = Field(
        None, ge=1, description="Connections to the database server; absent: not watched."
    )
    smoke: str | None = Field(
        None,
        description="Checks with this tag are sent at each look; absent: only the health check.",
    )
