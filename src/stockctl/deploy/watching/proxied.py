"""What the proxy counts of the live release, for a service that tells nothing of itself."""

from __future__ import annotations

from dataclasses import dataclass

from stockctl.core.errors import StockctlError
from stockctl.deploy import beside
from stockctl.deploy.site import Site
from stockctl.deploy.traffic import Traffic
from stockctl.system import haproxy_times
from stockctl.system.haproxy import Counters, Route
from stockctl.system.service_metrics import Sample


@dataclass(frozen=True, slots=True)
class Own:
    """What the watching itself sent since the last look, and how much of it failed: no users."""

    requests: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the proxy has counted since its last reload. `times`: answers by how long they took, as
    system/haproxy_times.py has them; None for a proxy from before it counted them."""

    counters: Counters
    times: tuple[int, ...] | None = None


class Tally:
    """Adds up what came between the looks: the proxy begins anew with each reload."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._before: Seen | None = None
        self._total = Sample()

    def look(self, own: Own) -> tuple[Sample | None, float | None]:
        """Requests since the first look; and the mean answer in ms of the last 1024, where the
        proxy does not know how they spread. None where it cannot be asked."""
        now = self._seen()
        if now is None:
            return None, None
        if self._before is not None:
            self._total = self._total.plus(between(self._before, now, own))
        self._before = now
        return self._total, now.counters.response_ms if now.times is None else None

    def _seen(self) -> Seen | None:
        live = self._site.releases.live()
        if live is None:
            return None
        traffic = Traffic(self._site)
        try:
            route = beside.route(self._site, live)
            counters = traffic.counters((route,)).get(live.id)
            return None if counters is None else Seen(counters, _times(traffic, route))
        except StockctlError:
            return None


def _times(traffic: Traffic, route: Route) -> tuple[int, ...] | None:
    """Of all its servers together."""
    found = [
        haproxy_times.read(traffic.asked(haproxy_times.PATH + each.name)) for each in route.servers
    ]
    known = [each for each in found if each is not None]
    return tuple(map(sum, zip(*known, strict=True))) if known and len(known) == len(found) else None


def between(before: Seen, now: Seen, own: Own) -> Sample:
    """What users sent in the meantime."""
    if now.counters.requests < before.counters.requests:  # it was reloaded
        before = Seen(Counters())
    earlier, later = before.counters, now.counters
    requests = max(0, later.requests - earlier.requests - own.requests)
    errors = max(0, later.errors - earlier.errors - own.failed)
    took = haproxy_times.buckets(_since(before.times, now.times)) if now.times else {}
    return Sample(float(requests), float(min(errors, requests)), took)


def _since(before: tuple[int, ...] | None, now: tuple[int, ...]) -> tuple[int, ...]:
    if before is None or any(a > b for a, b in zip(before, now, strict=True)):
        return now
    return tuple(b - a for a, b in zip(before, now, strict=True))
