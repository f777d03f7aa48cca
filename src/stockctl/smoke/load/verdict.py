"""What the figures say: metrics, and each threshold with what came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stockctl.core.errors import ToolFailed
from stockctl.env.load_settings import LoadProfile
from stockctl.smoke.load.sample import Sample, mean


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of the whole run."""

    requests: int
    failed: int
    error_rate: float  # 0 to 1
    p50_ms: float
    p95_ms: float
    p99_ms: float
    rps: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """`value` is None where it could not be measured: then it does not hold."""

    name: str
    ok: bool
    value: float | None
    limit: float
    unit: str


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What came of a run."""

    profile: str
    settings: LoadProfile
    metrics: Metrics
    thresholds: tuple[Threshold, ...]
    samples: tuple[Sample, ...]

    @property
    def ok(self) -> bool:
        return all(each.ok for each in self.thresholds)


def read_summary(text: str) -> Metrics:
    """What the script's `handleSummary` prints. Raises ToolFailed."""
    try:
        found = json.loads(text[text.index("{") :])
        took, every = found["http_req_duration"]["values"], found["http_reqs"]["values"]
        requests, rate = int(every["count"]), float(found["http_req_failed"]["values"]["rate"])
        return Metrics(
            requests,
            round(requests * rate),
            rate,
            float(took["med"]),
            float(took["p(95)"]),
            float(took["p(99)"]),
            float(every["rate"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ToolFailed("k6 did not say what came of it", details=text[-2000:]) from error


def judge(
    profile: LoadProfile, metrics: Metrics, samples: Sequence[Sample], *, containers: bool
) -> tuple[Threshold, ...]:
    """Every threshold. `containers`: there were some to look at, or nobody could say; what they
    took is judged then, also where it was not measured."""
    found = [
        _at_most("p95_ms", metrics.p95_ms, profile.p95_ms, "ms"),
        _at_most("error_rate", 100 * metrics.error_rate, profile.error_rate, "%"),
    ]
    if metrics.requests == 0:
        found.append(Threshold("requests", False, 0, 1, ""))
    if containers:
        found.append(_at_most("cpu", mean([each.cpu for each in samples]), profile.cpu, "%"))
        most = max((m for each in samples if (m := each.memory) is not None), default=None)
        found.append(_at_most("memory", most, profile.memory, "%"))
        if profile.memory_growth is not None:
            found.append(_at_most("memory_growth", growth(samples), profile.memory_growth, "%"))
    return tuple(found)


def growth(samples: Sequence[Sample]) -> float | None:
    """Percent, from the mean of the second fifth to that of the last: the first one is warm-up."""
    fifth = len(samples) // 5
    if fifth == 0:
        return None
    early = mean([each.memory_bytes for each in samples[fifth : 2 * fifth]])
    late = mean([each.memory_bytes for each in samples[-fifth:]])
    if not early or late is None:
        return None
    return 100 * (late - early) / early


def _at_most(name: str, value: float | None, limit: float, unit: str) -> Threshold:
    return Threshold(name, value is not None and value <= limit, value, limit, unit)


def as_data(result: LoadResult) -> dict[str, Any]:
    """As the contract names it."""
    m = result.metrics
    return {
        "profile": result.profile,
        "users": result.settings.users,
        "duration_s": result.settings.duration,
        "metrics": {
            "requests": m.requests,
            "failed": m.failed,
            "error_rate": round(m.error_rate, 5),
            "p50_ms": round(m.p50_ms, 1),
            "p95_ms": round(m.p95_ms, 1),
            "p99_ms": round(m.p99_ms, 1),
            "rps": round(m.rps, 1),
        },
        "thresholds": [
            {
                "name": each.name,
                "ok": each.ok,
                "value": None if each.value is None else round(each.value, 2),
                "limit": each.limit,
                "unit": each.unit,
            }
            for each in result.thresholds
        ],
    }
