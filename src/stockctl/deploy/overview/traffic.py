"""Requests, errors and p95: by the service's own metrics, else as the proxy has counted them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stockctl.core.errors import StockctlError, Unhealthy
from stockctl.core.units import format_age, format_instant
from stockctl.deploy.overview.part import Level
from stockctl.deploy.replicas import sample
from stockctl.deploy.site import Site
from stockctl.deploy.watching.proxied import Own, Seen, between, reloaded, seen
from stockctl.system.haproxy_counters import Counters
from stockctl.system.service_metrics import Sample

ERRORS, SLOW_S = 0.02, 1.0  # the plan's alerts: more than 2 % errors, p95 beyond 1000 ms
LAST_LOOK = "since the last look"


@dataclass(frozen=True, slots=True)
class Figures:
    """`source`: who counted, `metrics` or `proxy`. `when`: since when, in words; `since`: the same
    where it is known. `counted`: what later figures are held against."""

    source: str
    sample: Sample
    when: str
    since: datetime | None
    counted: Sample | Seen


def figures(site: Site, before: Figures | None, *, timeout_s: float) -> Figures | None:
    """None where nobody counts. `before`: an earlier look, and these are of the time since. Raises
    StockctlError where who counts does not answer."""
    if site.service.metrics is not None:
        return _by_itself(site, before, timeout_s)
    live = site.releases.live() if site.rolling else None
    return _by_the_proxy(site, seen(site, live), before) if live is not None else None


def _by_itself(site: Site, before: Figures | None, timeout_s: float) -> Figures:
    """Of all replicas; of whichever answers where the engine cannot be asked."""
    try:
        containers = site.live_containers()
    except StockctlError:
        containers = ()
    found = sample(site, containers, timeout_s=timeout_s)
    if found is None:
        raise Unhealthy(f"{site.service.metrics} does not answer 200")
    if before is not None and isinstance(before.counted, Sample):
        return Figures("metrics", found.since(before.counted), LAST_LOOK, None, found)
    return Figures("metrics", found, "since it started", None, found)


def _by_the_proxy(site: Site, now: Seen, before: Figures | None) -> Figures:
    """It counts from its last reload on, which every deploy is."""
    since, when = None, "since the proxy was reloaded"
    if now.age_s is not None:
        since = site.clock.now() - timedelta(seconds=now.age_s)
        when = f"{when} {format_age(now.age_s)}"
    earlier = before.counted if before is not None else None
    if isinstance(earlier, Seen) and not reloaded(earlier, now):
        return Figures("proxy", between(earlier, now, Own()), LAST_LOOK, since, now)
    return Figures("proxy", between(Seen(Counters()), now, Own()), when, since, now)


def words(found: Figures) -> tuple[str, Level]:
    """For a person, and whether it is well."""
    traffic = found.sample
    if not traffic.requests:
        return f"no requests {found.when}", Level.GOOD
    p95 = traffic.quantile(0.95)
    slow = "" if p95 is None else f", p95 {p95 * 1000:.0f} ms"
    many = f"{traffic.requests:,.0f} request{'s' * (traffic.requests != 1)}"
    said = f"{many} {found.when}, {traffic.error_rate:.2%} errors{slow}"
    wrong = traffic.error_rate > ERRORS or (p95 is not None and p95 > SLOW_S)
    return said, Level.NOTICE if wrong else Level.GOOD


def data(found: Figures) -> dict[str, Any]:
    """For programs. `counted_since` is null where only the service knows."""
    p95 = found.sample.quantile(0.95)
    return {
        "requests": found.sample.requests,
        "error_rate": round(found.sample.error_rate, 5),
        "p95_ms": None if p95 is None else round(p95 * 1000, 1),
        "source": found.source,
        "counted_since": format_instant(found.since) if found.since else None,
    }
