"""A release that gets requests is watched through the counters of the proxy, abandoned in time."""

from __future__ import annotations

from stockctl.core.errors import Unhealthy
from stockctl.core.units import counted, format_duration
from stockctl.deploy import beside
from stockctl.deploy.release import Release
from stockctl.deploy.site import Site
from stockctl.deploy.traffic import Traffic
from stockctl.env.deploy_settings import Abandon
from stockctl.system.haproxy import Route
from stockctl.system.haproxy_counters import Counters

LOOK_S = 0.5


def verdict(limits: Abandon, seen: Counters) -> str:
    """Why the release is abandoned; empty while there is no reason to."""
    if seen.requests < limits.requests:
        return ""
    if seen.error_rate > limits.error_rate:
        return (
            f"{seen.errors} of {seen.requests} answers failed ({seen.error_rate:.1f} %),"
            f" at most {limits.error_rate} % may"
        )
    if seen.response_ms > limits.response_time * 1000:
        took = format_duration(seen.response_ms / 1000)
        return (
            f"it answers after {took}, at most {format_duration(limits.response_time)} is allowed"
        )
    return ""


def shift(site: Site, release: Release, previous: Release | None) -> None:
    """The requests go from the previous release to this one, by the steps of `deploy.canary`."""
    settings = site.environment.deploy
    traffic = Traffic(site)
    for percent in settings.canary if previous is not None else ():
        assert previous is not None
        with site.progress.step(f"canary {percent} %") as step:
            routes = (
                beside.route(site, previous, 100 - percent),
                beside.route(site, release, percent),
            )
            traffic.route(routes, release.health)
            step.detail = watch(site, routes, release, settings.canary_step)
    with site.progress.step("switch") as step:
        traffic.route((beside.route(site, release),), release.health)
        step.detail = f"{previous.id if previous else 'nothing'} → {release.id}"


def watch(site: Site, routes: tuple[Route, ...], release: Release, seconds: float) -> str:
    """What was seen in that time. Raises Unhealthy as soon as a threshold is passed."""
    traffic, limits = Traffic(site), site.environment.deploy.abandon
    deadline = site.clock.monotonic() + seconds
    while True:
        over = site.clock.monotonic() >= deadline
        seen = traffic.counters(routes).get(release.id, Counters())
        if why := verdict(limits, seen):
            raise Unhealthy(f"{release.id} is abandoned: {why}")
        if over:
            return f"{counted(seen.requests, 'request')}, {seen.errors} failed"
        site.clock.sleep(min(LOOK_S, max(0.0, deadline - site.clock.monotonic())))
