"""`[monitor]`: when somebody is to be woken."""

from __future__ import annotations

from pydantic import Field

from stockctl.env.types import Duration, Number, Table


class MonitorSettings(Table):
    """Thresholds of the alerts that `monitor export` writes. [Monitoring](monitoring.md)"""

    error_rate: Number = Field(2, ge=1, le=100, description="Percent of the requests that fail.")
    p95_ms: Number = Field(1000, ge=1, description="95 of 100 requests are faster, milliseconds.")
    cpu: Number = Field(80, ge=1, le=100, description="Percent of the host's processors.")
    memory: Number = Field(90, ge=1, le=100, description="Percent of the host's memory.")
    disk: Number = Field(80, ge=1, le=100, description="Percent of the disk under the directory.")
    connections: Number = Field(50, ge=1, description="Connections to the database server.")
    backup_age: Duration = Field(93600.0, description="Of the newest backup.")
    verify_age: Duration = Field(
        691200.0, description="Since one was last found whole by `backup verify`."
    )
    drill_age: Duration | None = Field(
        None, description="Since one was last restored on trial; absent: no alert."
    )
    certificate: Duration = Field(1209600.0, description="How long it must still hold.")
    sustained: Duration = Field(
        300.0, description="How long a threshold is broken before it tells."
    )
    job: str | None = Field(
        None, description="The `job` of the service's own metrics; default: the compose project."
    )
