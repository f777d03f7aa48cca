"""What the proxy counts of the live release, for a service that tells nothing of itself."""

from __future__ import annotations

from dataclasses import dataclass

from stockctl.core.errors import StockctlError
from stockctl.deploy import beside
from stockctl.deploy.site import Site
from stockctl.deploy.traffic import Traffic
from stockctl.system.haproxy import Counters
from stockctl.system.service_metrics import Sample


@dataclass(frozen=True, slots=True)
class Own:
    """What the watching itself sent since the last look, and how much of it failed: no users."""

    requests: int = 0
    failed: int = 0


class Tally:
    """Adds up what came between the looks: the proxy begins anew with each reload."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._before: Counters | None = None
        self._total = Sample()

    def look(self, own: Own) -> tuple[Sample | None, float | None]:
        """Requests since the first look; and the mean answer in ms of the last 1024, since of
        how they spread HAProxy keeps nothing. None where the proxy cannot be asked."""
        now = self._counters()
        if now is None:
            return None, None
        if self._before is not None:
            self._total = self._total.plus(between(self._before, now, own))
        self._before = now
        return self._total, now.response_ms

    def _counters(self) -> Counters | None:
        live = self._site.releases.live()
        if live is None:
            return None
        try:
            routes = (beside.route(self._site, live),)
            return Traffic(self._site).counters(routes).get(live.id)
        except StockctlError:
            return None


def between(before: Counters, now: Counters, own: Own) -> Sample:
    """What users sent in the meantime."""
    if now.requests < before.requests:
        before = Counters()
    requests = max(0, now.requests - before.requests - own.requests)
    errors = max(0, now.errors - before.errors - own.failed)
    return Sample(float(requests), float(min(errors, requests)))
