"""What a service says of its own requests, in Prometheus' text format: how many, how many failed,
how long they took.

Read by hand: `status` has a second, and the library's parser takes a tenth of it to be imported.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_TYPE = re.compile(r"# TYPE (\S+) (counter|histogram)$", re.MULTILINE)
_STATUS = ("status", "code", "status_code")
_ROUTE = ("route", "path", "handler", "endpoint")


@dataclass(frozen=True, slots=True)
class Names:
    """Of the counter of requests, and of the histogram of their durations in seconds."""

    requests: str = "http_requests_total"
    duration: str = "http_request_duration_seconds"


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters since the service started. `buckets`: requests that took at most so many seconds."""

    requests: float = 0.0
    errors: float = 0.0
    buckets: Mapping[float, float] = field(default_factory=dict)

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    def fell(self, before: Sample) -> bool:
        """Counters only grow: a replica was started again, or is gone."""
        pairs = ((self.buckets.get(le, 0.0), count) for le, count in before.buckets.items())
        less = self.requests < before.requests or self.errors < before.errors
        return less or any(now < then for now, then in pairs)

    def since(self, before: Sample) -> Sample:
        """What came between; a service that was restarted counts from nothing."""
        if self.fell(before):
            return self
        earlier = before.buckets
        buckets = {le: count - earlier.get(le, 0.0) for le, count in self.buckets.items()}
        return Sample(self.requests - before.requests, self.errors - before.errors, buckets)

    def plus(self, other: Sample) -> Sample:
        """Both together: the replicas of a service."""
        every = self.buckets.keys() | other.buckets.keys()
        buckets = {le: self.buckets.get(le, 0.0) + other.buckets.get(le, 0.0) for le in every}
        return Sample(self.requests + other.requests, self.errors + other.errors, buckets)

    def quantile(self, share: float) -> float | None:
        """Seconds, linear within a bucket as `histogram_quantile` does; None without requests."""
        bounds = sorted(self.buckets)
        total = self.buckets[bounds[-1]] if bounds else 0.0
        if not total:
            return None
        below, lower = 0.0, 0.0
        for bound in bounds:
            count = self.buckets[bound]
            if count >= share * total:
                if math.isinf(bound):
                    return lower
                inside = count - below
                part = (share * total - below) / inside if inside else 1.0
                return lower + (bound - lower) * part
            below, lower = count, bound
        return lower


def missing(text: str, names: Names) -> str:
    """Which of the two the page does not have, and what it has instead; empty where it has both.
    One that has counted nothing yet is only declared."""
    declared = _TYPE.findall(text)
    for kind, name, series in (
        ("histogram", names.duration, f"{names.duration}_bucket"),
        ("counter", names.requests, names.requests),
    ):
        # the type of a counter is of its name without _total, or with it
        known = {each for each, of in declared if of == kind}
        there = {name, name.removesuffix("_total")} & known
        if not there and not any(found == series for found, _, _ in _samples(text, (series,))):
            has = ", ".join(sorted(known)) or "none"
            return f"no {kind} {name}; it has: {has}"
    return ""


def parse(text: str, names: Names | None = None, without: Sequence[str | None] = ()) -> Sample:
    """Requests to the routes in `without` are left out: health checks and scrapes are no users."""
    requests, failed = 0.0, 0.0
    buckets: dict[float, float] = {}
    names = names or Names()
    wanted = (names.requests, f"{names.duration}_bucket")
    for name, labels, value in _samples(text, wanted):
        if any(labels.get(each) in without for each in _ROUTE if each in labels):
            continue
        if name == names.requests:
            requests += value
            failed += value if _first(labels, _STATUS).startswith("5") else 0.0
        else:
            bound = float(labels.get("le", "inf"))
            buckets[bound] = buckets.get(bound, 0.0) + value
    return Sample(requests, failed, buckets)


def _samples(text: str, names: Sequence[str]) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in text.splitlines():
        found = _LINE.match(line)
        if found and found[1] in names:
            try:
                yield found[1], dict(_LABEL.findall(found[2] or "")), float(found[3])
            except ValueError:
                continue


def _first(labels: Mapping[str, str], names: Sequence[str]) -> str:
    return next((labels[name] for name in names if name in labels), "")
