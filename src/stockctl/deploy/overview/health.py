"""Is it well: one request to its health check, and what came of all others."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from threading import Thread

from stockctl.core.errors import StockctlError
from stockctl.deploy.overview import traffic
from stockctl.deploy.overview.part import SERVICE, Advice, Level, Part
from stockctl.deploy.overview.traffic import Figures
from stockctl.deploy.site import Site
from stockctl.system.http import Request, send

TIMEOUT_S = 1.8  # a little less than the piece has


def health_part(site: Site, before: Figures | None = None) -> tuple[Part, Figures | None]:
    """`before`: figures of an earlier look; then they are of the time since. Both are asked at the
    same time: a proxy that is silent must not hide that the service is well."""
    until = time.monotonic() + TIMEOUT_S
    asked = _aside(lambda: traffic.figures(site, before, timeout_s=TIMEOUT_S))
    service, name = site.service, site.environment.name
    url = site.reached(service.url.rstrip("/") + service.health)
    answer = send(Request("GET", url), timeout_s=TIMEOUT_S)
    took_ms = round(answer.duration_s * 1000, 1)
    data = {"ok": answer.status == 200, "status": answer.status or None, "duration_ms": took_ms}
    if answer.status != 200:
        came = answer.failure or f"{answer.status} {' '.join(answer.text().split())[:80]}"
        said = f"{service.health} does not answer 200: {came}"
        return Part(
            "health", Level.BAD, (said,), {**data, "error": came}, _advice(site, name)
        ), None
    well = Part("health", Level.GOOD, (f"{answer.status} in {took_ms:.0f} ms",), data)
    try:
        found = asked.result(max(0.0, until - time.monotonic()))
    except (StockctlError, TimeoutError) as error:
        why = f"nobody knows of other requests: {error or 'no answer in time'}"
        return replace(well, said=(*well.said, why)), None
    return (_with(well, found, name), found) if found else (well, None)


def _with(part: Part, found: Figures, name: str) -> Part:
    said, level = traffic.words(found)
    wrong = level is not Level.GOOD
    advice = (Advice(SERVICE, f"stockctl smoke {name}", said, level),) if wrong else ()
    both = {**part.data, **traffic.data(found)}
    return replace(part, level=level, said=(*part.said, said), data=both, advice=advice)


def _aside(ask: Callable[[], Figures | None]) -> Future[Figures | None]:
    """On a thread that ends with us, whether it has an answer or not."""
    future: Future[Figures | None] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True, name="status-traffic").start()
    return future


def _advice(site: Site, name: str) -> tuple[Advice, ...]:
    live = site.releases.live()
    if live is None:
        return ()
    if live.previous is None:
        return (Advice(SERVICE, f"stockctl smoke {name}", "the service is not well: what fails?"),)
    why = f"the service is not well: {live.previous} ran before {live.id}"
    return (Advice(RELEASE_BACK, f"stockctl deploy rollback {name}", why),)


RELEASE_BACK = SERVICE + 1  # after a look at what it says
