"""How long a release's answers took, and how many were errors, health checks left out: HAProxy does
not keep that. It counts answers by their time, in counters that it has for other ends (a table for
each server, as `stick-table` makes it), and a page beside the statistics tells them. Logging each
request would cost more, and could be read only by who gets into its container.

https://docs.haproxy.org/2.6/configuration.html#4.2-stick-table
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

PATH = "/times/"
_WORD = "times"
# Milliseconds, each the most of its counter; the last one has no bound.
BOUNDS = (5, 10, 25, 50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000)
_RANGES = [f"{a + 1}:{b}" for a, b in pairwise((-1, *BOUNDS))] + [f"{BOUNDS[-1] + 1}:"]
COUNTERS = len(_RANGES) + 1  # the one more is of errors


@dataclass(frozen=True, slots=True)
class Times:
    """What users got. `took`: answers by how long they took, as BOUNDS has it; `failed`: how many
    of them were 5xx."""

    took: tuple[int, ...] = (0,) * len(_RANGES)
    failed: int = 0

    @property
    def answers(self) -> int:
        return sum(self.took)

    def plus(self, other: Times) -> Times:
        """Both together."""
        took = tuple(a + b for a, b in zip(self.took, other.took, strict=True))
        return Times(took, self.failed + other.failed)

    def since(self, before: Times) -> Times:
        """What came between; all of it where the counters began anew."""
        took = tuple(b - a for a, b in zip(before.took, self.took, strict=True))
        failed = self.failed - before.failed
        return self if failed < 0 or min(took) < 0 else Times(took, failed)


def counting(health: str) -> str:
    """Lines of the backend. `health` is its path as HAProxy reads it: of health checks nobody wants
    to know. %Tr is the time from the request to the answer's headers, -1 without an answer. With an
    answer the request's path is only there where somebody has kept it."""
    counters = [
        f"  http-response sc-inc-gpc({number},2) if {{ var(txn.ms) -m int {each} }}"
        for number, each in enumerate(_RANGES)
    ]
    return "\n".join(
        [
            "  http-request set-var(txn.path) path",
            f"  acl healthcheck var(txn.path) -m str {health}",
            "  http-response set-var-fmt(txn.ms) %Tr unless healthcheck",
            "  http-response track-sc2 srv_name table times unless healthcheck",
            *counters,
            f"  http-response sc-inc-gpc({len(_RANGES)},2) if {{ status ge 500 }}",
        ]
    )


def telling() -> str:
    """Lines of the frontend with the statistics: what PATH and a server's name ask for."""
    fields = " ".join(f"%[path,field(3,/),table_gpc({n},times)]" for n in range(COUNTERS))
    return (
        f"  http-request return status 200 content-type text/plain lf-string "
        f'"{_WORD} {fields}" if {{ path_beg {PATH} }}'
    )


def read(text: str) -> Times | None:
    """Of one server; None where a proxy does not count them yet."""
    word, *found = text.split() or [""]
    if word != _WORD or len(found) != COUNTERS or not all(map(str.isdigit, found)):
        return None
    *took, failed = map(int, found)
    return Times(tuple(took), failed)


def buckets(took: tuple[int, ...]) -> Mapping[float, float]:
    """As a histogram of Prometheus has them: seconds, and how many took at most as long."""
    bounds = (*(each / 1000 for each in BOUNDS), float("inf"))
    return {bound: float(sum(took[: n + 1])) for n, bound in enumerate(bounds)}
