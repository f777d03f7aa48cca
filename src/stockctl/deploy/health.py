"""Waiting until a release answers, and giving up early when it never will."""

from __future__ import annotations

from collections.abc import Collection

from stockctl.core.errors import Unhealthy
from stockctl.core.units import format_duration
from stockctl.deploy.release import Release
from stockctl.deploy.site import Site
from stockctl.system.container import Container
from stockctl.system.http import Request, Response, send

POLL_S = 0.2
ANSWER_S = 5.0
LOG_LINES = 20


def wait_healthy(site: Site, release: Release, *, known: bool = False) -> float:
    """Seconds until the release's containers run and its health check answered 200.

    Where the image or the compose file has a check of its own, Docker must have found it healthy,
    too. For a release that is `known` to work (the way back) it is enough that it has not been
    found unhealthy: Docker's first look comes seconds after the service answers.

    `docker compose up --wait` stops at the first unhealthy state (docker/compose#12416), so the
    question is asked here. Raises Unhealthy with the last log lines and the last answer.
    """
    deadline_s = site.environment.deploy.health_timeout
    started = site.clock.monotonic()
    url = site.reached(release.url.rstrip("/") + release.health)
    while True:
        containers = site.released_containers()
        answer = send(Request("GET", url), timeout_s=ANSWER_S)
        waited = site.clock.monotonic() - started
        if answer.status == 200 and _all_run(site, release, containers, known):
            return waited
        if any(c.gave_up for c in containers if c.release == release.id):
            raise _unhealthy(site, release, containers, answer, "ended by itself")
        if waited > deadline_s:
            limit = f"is not healthy after {format_duration(deadline_s)}"
            raise _unhealthy(site, release, containers, answer, limit)
        site.clock.sleep(POLL_S)


def wait_for_services(site: Site, project: str, names: Collection[str]) -> None:
    """Until those services of a compose project that have a health check pass it. Raises
    Unhealthy."""
    deadline = site.clock.monotonic() + site.environment.deploy.health_timeout
    while True:
        found = site.engine.containers(project)
        waiting = [c for c in found if c.service in names and c.health in ("starting", "unhealthy")]
        if not waiting:
            return
        if site.clock.monotonic() > deadline:
            logs = "\n".join(f"{c.name}:\n{site.engine.logs(c.id, LOG_LINES)}" for c in waiting)
            raise Unhealthy(f"{waiting[0].service} does not become healthy", details=logs)
        site.clock.sleep(POLL_S)


def _all_run(site: Site, release: Release, containers: tuple[Container, ...], known: bool) -> bool:
    """Every released service has a well container, and none is left of another release."""
    well = (None, "healthy", "starting") if known else (None, "healthy")
    services = {c.service for c in containers if c.status == "running" and c.health in well}
    ours = all(c.release == release.id for c in containers)
    return ours and services == set(site.service.release)


def _unhealthy(
    site: Site,
    release: Release,
    containers: tuple[Container, ...],
    answer: Response,
    how: str,
) -> Unhealthy:
    """What a person needs to see first: who ended how, its last words, its last answer."""
    came = answer.failure or f"{answer.status} {answer.text()[:300]}".strip()
    lines = [f"GET {release.health}: {came}"]
    for container in containers:
        lines.append(f"{container.name}: {container.state}; its last lines:")
        said = site.engine.logs(container.id, LOG_LINES).rstrip() or "(it printed nothing)"
        lines += [f"  {line}" for line in said.splitlines()]
    return Unhealthy(f"release {release.id} {how}", details="\n".join(lines))
