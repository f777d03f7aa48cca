"""What HAProxy's statistics say, as CSV.

The columns: https://docs.haproxy.org/2.6/management.html#9.1
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_PROXY = "# pxname"


@dataclass(frozen=True, slots=True)
class Counters:
    """What one release has answered since the last reload. `response_ms` is the mean over the
    last 1024 answers."""

    requests: int = 0
    errors: int = 0
    response_ms: float = 0.0

    @property
    def error_rate(self) -> float:
        """In percent."""
        return 100 * self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Worker:
    """The proxy itself. `age_s`: since it began to count, with its last reload or start; None where
    it does not say. `broken`: requests that no server answered, so that it did, with an error."""

    age_s: int | None
    broken: int
    servers: tuple[str, ...]


def worker(text: str) -> Worker:
    """From the whole page. A backend without servers is as old as the worker: `lastchg`."""
    age_s, broken, servers = None, 0, []
    for row in _rows(text):
        if row[_PROXY] == "times":
            age_s = _number(row, "lastchg")
        elif row[_PROXY] == "release" and row["svname"] == "BACKEND":
            broken = _number(row, "econ") + _number(row, "eresp")
        elif row[_PROXY] == "release":
            servers.append(row["svname"])
    return Worker(age_s, broken, tuple(servers))


def counters(text: str, releases: Mapping[str, str]) -> dict[str, Counters]:
    """From the statistics page as CSV; `releases` says which release a server belongs to."""
    found: dict[str, Counters] = {}
    for row in _rows(text):
        release = releases.get(row["svname"])
        if row[_PROXY] == "release" and release:
            found[release] = _added(found.get(release, Counters()), row)
    return found


def _added(before: Counters, row: Mapping[str, str]) -> Counters:
    kinds = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
    broken = _number(row, "eresp")
    answers = sum(_number(row, f"hrsp_{kind}") for kind in kinds)
    errors = _number(row, "hrsp_5xx") + broken
    requests = before.requests + answers + broken
    slowest = max(before.response_ms, float(_number(row, "rtime")))
    return Counters(requests, before.errors + errors, slowest)


def _rows(text: str) -> Iterator[Mapping[str, str]]:
    return iter(csv.DictReader(text.splitlines()))


def _number(row: Mapping[str, str], column: str) -> int:
    return int(row.get(column) or 0)
