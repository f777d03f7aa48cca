"""What is seen while the load goes on: k6's own figures, and what the containers take."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stockctl.system.http import Request, send

ASK_S = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment. Requests and failures since the start; `p95_ms` of all so far. `cpu` and `memory`
    are percent; None where nothing could be measured."""

    at_s: float
    users: float
    requests: float
    failed: float
    p95_ms: float | None
    cpu: float | None = None
    memory: float | None = None
    memory_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class Burden:
    """What containers take together: processor time so far, the processors that they may have; the
    fullest of them in percent; bytes of all."""

    cpu_s: float
    processors: float
    memory: float
    memory_bytes: float


Weigh = Callable[[], Burden | None]


def k6_metrics(port: int) -> dict[str, Mapping[str, Any]]:
    """From k6's own interface; empty while it starts or ends.
    https://grafana.com/docs/k6/latest/reference/k6-rest-api/"""
    answer = send(Request("GET", f"http://127.0.0.1:{port}/v1/metrics"), timeout_s=ASK_S)
    try:
        entries = json.loads(answer.body)["data"]
        return {each["id"]: each["attributes"]["sample"] for each in entries}
    except (ValueError, KeyError, TypeError):
        return {}


def sample(
    at_s: float, found: Mapping[str, Mapping[str, Any]], burden: Burden | None, cpu: float | None
) -> Sample:
    """The figures of one moment."""
    requests = float(found.get("http_reqs", {}).get("count", 0))
    p95 = found.get("http_req_duration", {}).get("p(95)")
    return Sample(
        at_s=at_s,
        users=float(found.get("vus", {}).get("value", 0)),
        requests=requests,
        failed=requests * float(found.get("http_req_failed", {}).get("rate", 0)),
        p95_ms=None if p95 is None else float(p95),
        cpu=cpu,
        memory=burden.memory if burden else None,
        memory_bytes=burden.memory_bytes if burden else None,
    )


def cpu_between(before: Burden | None, after: Burden | None, seconds: float) -> float | None:
    """Percent of their processors; None without two looks, or after a container was replaced."""
    if before is None or after is None or seconds <= 0 or after.cpu_s < before.cpu_s:
        return None
    return 100 * (after.cpu_s - before.cpu_s) / (seconds * after.processors)


def mean(values: Sequence[float | None]) -> float | None:
    """Of those that are there."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
