"""Is it well: one request to its health check, and what its own metrics say of all others."""

from __future__ import annotations

from stockctl.core.errors import StockctlError
from stockctl.deploy.overview.part import SERVICE, Advice, Level, Part
from stockctl.deploy.replicas import sample
from stockctl.deploy.site import Site
from stockctl.system.http import Request, send
from stockctl.system.service_metrics import Sample

TIMEOUT_S = 1.8  # a little less than the piece has
ERRORS, SLOW_S = 0.02, 1.0  # the plan's alerts: more than 2 % errors, p95 beyond 1000 ms


def health_part(site: Site, before: Sample | None = None) -> tuple[Part, Sample | None]:
    """`before`: an earlier sample; then the figures are of the time since."""
    service, name = site.service, site.environment.name
    url = site.reached(service.url.rstrip("/") + service.health)
    answer = send(Request("GET", url), timeout_s=TIMEOUT_S)
    took_ms = round(answer.duration_s * 1000, 1)
    data = {"ok": answer.status == 200, "status": answer.status or None, "duration_ms": took_ms}
    if answer.status != 200:
        came = answer.failure or f"{answer.status} {' '.join(answer.text().split())[:80]}"
        advice = _advice(site, name)
        said = f"{service.health} does not answer 200: {came}"
        return Part("health", Level.BAD, (said,), {**data, "error": came}, advice), None
    said = f"{answer.status} in {took_ms:.0f} ms"
    seen = _sample(site)
    if seen is None:
        return Part("health", Level.GOOD, (said,), data), None
    traffic = seen.since(before) if before else seen
    words, level = _traffic(traffic, "since the last look" if before else "since it started")
    advice = (Advice(SERVICE, f"stockctl smoke {name}", words, level),) if level != "good" else ()
    part = Part("health", level, (said, words), {**data, **_data(traffic)}, advice)
    return part, seen


def _sample(site: Site) -> Sample | None:
    """Of all replicas; of whichever answers where the engine cannot be asked."""
    if site.service.metrics is None:
        return None
    try:
        containers = site.live_containers()
    except StockctlError:
        containers = ()
    return sample(site, containers, timeout_s=TIMEOUT_S)


def _traffic(sample: Sample, when: str) -> tuple[str, Level]:
    if not sample.requests:
        return f"no requests {when}", Level.GOOD
    p95 = sample.quantile(0.95)
    slow = "" if p95 is None else f", p95 {p95 * 1000:.0f} ms"
    words = f"{sample.requests:,.0f} requests {when}, {sample.error_rate:.2%} errors{slow}"
    wrong = sample.error_rate > ERRORS or (p95 is not None and p95 > SLOW_S)
    return words, Level.NOTICE if wrong else Level.GOOD


def _data(sample: Sample) -> dict[str, float | None]:
    p95 = sample.quantile(0.95)
    return {
        "requests": sample.requests,
        "error_rate": round(sample.error_rate, 5),
        "p95_ms": None if p95 is None else round(p95 * 1000, 1),
    }


def _advice(site: Site, name: str) -> tuple[Advice, ...]:
    live = site.releases.live()
    if live is None:
        return ()
    if live.previous is None:
        return (Advice(SERVICE, f"stockctl smoke {name}", "the service is not well: what fails?"),)
    why = f"the service is not well: {live.previous} ran before {live.id}"
    return (Advice(RELEASE_BACK, f"stockctl deploy rollback {name}", why),)


RELEASE_BACK = SERVICE + 1  # after a look at what it says
