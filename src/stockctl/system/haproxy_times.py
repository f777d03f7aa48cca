"""How long a release's answers took, which HAProxy does not keep: it counts them by their time, in
counters that it has for other ends (a table for each server, as `stick-table` makes it), and a page
beside the statistics tells them. Logging each request would cost more, and could be read only by
who gets into its container.

https://docs.haproxy.org/2.6/configuration.html#4.2-stick-table
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

PATH = "/times/"
_WORD = "times"
# Milliseconds, each the most of its counter, of which a table has 16; the last one has no bound.
BOUNDS = (5, 10, 25, 50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000)
_RANGES = [f"{a + 1}:{b}" for a, b in pairwise((-1, *BOUNDS))] + [f"{BOUNDS[-1] + 1}:"]


def counting(health: str) -> str:
    """Lines of the backend. `health` is its path as HAProxy reads it: of health checks nobody wants
    to know. %Tr is the time from the request to the answer's headers, -1 without an answer."""
    counters = [
        f"  http-response sc-inc-gpc({number},2) if {{ var(txn.ms) -m int {each} }}"
        for number, each in enumerate(_RANGES)
    ]
    return "\n".join(
        [
            f"  acl healthcheck capture.req.uri -m str {health}",
            "  http-response set-var-fmt(txn.ms) %Tr unless healthcheck",
            "  http-response track-sc2 srv_name table times unless healthcheck",
            *counters,
        ]
    )


def telling() -> str:
    """Lines of the frontend with the statistics: what PATH and a server's name ask for."""
    fields = " ".join(f"%[path,field(3,/),table_gpc({n},times)]" for n, _ in enumerate(_RANGES))
    return (
        f"  http-request return status 200 content-type text/plain lf-string "
        f'"{_WORD} {fields}" if {{ path_beg {PATH} }}'
    )


def read(text: str) -> tuple[int, ...] | None:
    """The counters of one server; None where a proxy does not have them yet."""
    word, *found = text.split() or [""]
    if word != _WORD or len(found) != len(_RANGES) or not all(map(str.isdigit, found)):
        return None
    return tuple(map(int, found))


def buckets(counters: tuple[int, ...]) -> Mapping[float, float]:
    """As a histogram of Prometheus has them: seconds, and how many took at most as long."""
    bounds = (*(each / 1000 for each in BOUNDS), float("inf"))
    return {bound: float(sum(counters[: n + 1])) for n, bound in enumerate(bounds)}
