"""What the proxy counts of the live release, for a service that tells nothing of itself."""

from __future__ import annotations

from dataclasses import dataclass

from stockctl.core.errors import StockctlError, Unhealthy
from stockctl.deploy.release import Release
from stockctl.deploy.site import Site
from stockctl.deploy.traffic import Traffic
from stockctl.system import haproxy_counters, haproxy_times
from stockctl.system.haproxy_counters import Counters
from stockctl.system.haproxy_times import Times
from stockctl.system.service_metrics import Sample


@dataclass(frozen=True, slots=True)
class Own:
    """What the watching itself sent since the last look, and how much of it failed: no users."""

    requests: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the proxy has counted since its last reload, `age_s` seconds ago. `times`: what users
    got, and `broken`, what no server answered; `times` is None for a proxy from before it counted
    them."""

    counters: Counters
    times: Times | None = None
    broken: int = 0
    age_s: int | None = None


class Tally:
    """Adds up what came between the looks: the proxy begins anew with each reload."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._before: Seen | None = None
        self._total = Sample()

    def look(self, own: Own) -> tuple[Sample | None, float | None]:
        """Requests since the first look; and the mean answer in ms of the last 1024, where the
        proxy does not know how they spread. None where it cannot be asked."""
        live = self._site.releases.live()
        try:
            now = seen(self._site, live) if live else None
        except StockctlError:
            now = None
        if now is None:
            return None, None
        if self._before is not None:
            self._total = self._total.plus(between(self._before, now, own))
        self._before = now
        return self._total, now.counters.response_ms if now.times is None else None


def seen(site: Site, release: Release) -> Seen:
    """Raises Unhealthy where the proxy does not answer, or has nothing to do with this release;
    ToolFailed where the engine does not know where it is."""
    traffic = Traffic(site)
    running = traffic.running()
    if running is None:
        raise Unhealthy("the proxy does not run")
    page = traffic.asked("/;csv", running)
    worker = haproxy_counters.worker(page)
    names = [each for each in worker.servers if each.startswith(f"{release.id}-")]
    if not names:
        raise Unhealthy(f"the proxy sends nothing to {release.id}")
    counters = haproxy_counters.counters(page, dict.fromkeys(names, release.id))[release.id]
    pages = [traffic.asked(haproxy_times.PATH + each, running) for each in names]
    return Seen(counters, _sum(pages), worker.broken, worker.age_s)


def _sum(pages: list[str]) -> Times | None:
    """Of all its servers together."""
    total = Times()
    for page in pages:
        found = haproxy_times.read(page)
        if found is None:
            return None
        total = total.plus(found)
    return total


def reloaded(before: Seen, now: Seen) -> bool:
    """Whether it began to count anew. Its age tells that also when more came since than before."""
    younger = None not in (before.age_s, now.age_s) and (now.age_s or 0) < (before.age_s or 0)
    return younger or now.counters.requests < before.counters.requests


def between(before: Seen, now: Seen, own: Own) -> Sample:
    """What users sent in the meantime."""
    if reloaded(before, now):
        before = Seen(Counters())
    if now.times is not None:
        times = now.times.since(before.times or Times())
        broken = max(0, now.broken - before.broken)
        took = haproxy_times.buckets(times.took)
        return Sample(float(times.answers + broken), float(times.failed + broken), took)
    earlier, later = before.counters, now.counters
    requests = max(0, later.requests - earlier.requests - own.requests)
    errors = max(0, later.errors - earlier.errors - own.failed)
    return Sample(float(requests), float(min(errors, requests)))
