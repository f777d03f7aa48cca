"""What the Docker engine says of a container: nouns, free of I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stockctl.system.compose import RELEASE_LABEL, WEB_LABEL


@dataclass(frozen=True, slots=True)
class Container:
    """What the engine says of one container."""

    id: str
    name: str
    service: str
    image_id: str
    release: str | None
    status: str  # created, running, paused, restarting, exited, dead
    health: str | None  # starting, healthy, unhealthy; None where the image has no check
    exit_code: int
    restarts: int
    project: str = ""
    web_port: int | None = None  # it takes requests at this port
    published: tuple[tuple[int, int], ...] = ()  # port inside, port on this machine
    started_at: datetime | None = None  # the last time, by the engine's clock
    mounted: tuple[str, ...] = ()  # files and folders of its machine

    @property
    def url(self) -> str | None:
        """Where its web port is reached from this machine."""
        port = dict(self.published).get(self.web_port or 0)
        return f"http://127.0.0.1:{port}" if port else None

    @property
    def state(self) -> str:
        """For a person: `restarting, exit 3, started 2 times, unhealthy`."""
        starts = f"started {self.restarts + 1} times" if self.gave_up else ""
        # of one that runs again the engine has forgotten how it ended
        ended = f"exit {self.exit_code}" if starts and self.status != "running" else ""
        return ", ".join(part for part in (self.status, ended, starts, self.health) if part)

    @property
    def gave_up(self) -> bool:
        """It has ended, or is being started again and again."""
        return self.status in ("exited", "dead", "restarting") or self.restarts > 0


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line, and when the engine got it (RFC 3339, nanoseconds)."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container has taken of the processors since it started, and takes of memory now,
    without what the kernel only caches. `processors` and `limit_bytes`: its own limit, else the
    machine's, which has `machine` processors."""

    cpu_s: float
    processors: float
    machine: int
    memory_bytes: float
    limit_bytes: float


def processors(found: Collection[Usage]) -> float:
    """How many they may keep busy together."""
    return min(max(each.machine for each in found), sum(each.processors for each in found))


def usage_of(stats: Mapping[str, Any], limits: Mapping[str, Any]) -> Usage:
    """As `docker stats` counts it (docker/cli, stats_helpers.go); `limits` is its HostConfig.
    Raises KeyError for a container that does not run."""
    memory, cpu = stats["memory_stats"], stats["cpu_stats"]
    kinds = memory["stats"]
    cached = kinds.get("total_inactive_file", kinds.get("inactive_file", 0))  # cgroup v1 has both
    machine = int(cpu.get("online_cpus") or 1)
    return Usage(
        cpu_s=cpu["cpu_usage"]["total_usage"] / 1e9,
        processors=_processors_of(limits, machine),
        machine=machine,
        memory_bytes=memory["usage"] - cached,
        limit_bytes=memory["limit"],
    )


def _processors_of(limits: Mapping[str, Any], machine: int) -> float:
    """`cpus`, or the older pair of quota and period (docs.docker.com, "Resource constraints")."""
    most: float = (limits.get("NanoCpus") or 0) / 1e9
    if not most and (limits.get("CpuQuota") or 0) > 0:
        most = limits["CpuQuota"] / (limits.get("CpuPeriod") or 100_000)
    return min(most, machine) if most else machine


def container_of(attributes: dict[str, Any]) -> Container:
    labels, state = attributes["Config"]["Labels"], attributes["State"]
    return Container(
        id=attributes["Id"],
        name=attributes["Name"].lstrip("/"),
        service=labels["com.docker.compose.service"],
        image_id=attributes["Image"],
        release=labels.get(RELEASE_LABEL),
        status=state["Status"],
        health=state.get("Health", {}).get("Status"),
        exit_code=state["ExitCode"],
        restarts=attributes["RestartCount"],
        project=labels.get("com.docker.compose.project", ""),
        web_port=int(labels[WEB_LABEL]) if WEB_LABEL in labels else None,
        published=tuple(_published(attributes)),
        started_at=_moment(state.get("StartedAt", "")),
        mounted=tuple(m["Source"] for m in attributes.get("Mounts", ()) if m["Type"] == "bind"),
    )


def _moment(text: str) -> datetime | None:
    """`2026-11-22T03:00:00.123456789Z`, to the second; the year 1 is the engine's "never"."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)


def _published(attributes: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """A port may be bound twice, for IPv4 and IPv6; IPv4 comes first."""
    for inside, bound in (attributes.get("NetworkSettings", {}).get("Ports") or {}).items():
        if bound:
            yield int(inside.partition("/")[0]), int(bound[0]["HostPort"])
