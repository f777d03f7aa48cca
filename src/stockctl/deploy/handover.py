"""The proxy takes the port over from a container that was started without it; once in the life of
an environment.

Two processes cannot hold one published port, so there is a gap: from when the old container has
let go until the proxy listens. By then the same release runs beside and is healthy, the proxy's
container is made and its configuration written, so that the gap is a stop and a start, measured.
Stop and start outlast us: killed ourselves, they end as they should.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from stockctl.core.errors import StockctlError, Unhealthy
from stockctl.core.units import format_duration
from stockctl.deploy import beside
from stockctl.deploy.outage import Probe
from stockctl.deploy.outlast import outlasting, settle
from stockctl.deploy.release import Release
from stockctl.deploy.site import Site
from stockctl.deploy.traffic import Traffic
from stockctl.system.compose import Rendered

BEYOND_S = 120.0  # what the engine may take beyond the stop timeout


def needed(site: Site) -> bool:
    """Whether a container in the long-lived project holds the port."""
    found = site.engine.containers(site.environment.project, site.service.web)
    return any(c.status == "running" for c in found)


def script(proxy: str, stop_timeout_s: float, old: Sequence[str]) -> str:
    """Stops the old containers and starts the proxy, or the old ones again."""
    stop = f"docker stop --time {round(stop_timeout_s)} {shlex.join(old)}"
    again = f"{{ docker start {shlex.join(old)}; exit 1; }}"
    return f"{stop}\ndocker start {shlex.quote(proxy)} || {again}\n"


def take_over(site: Site, release: Release) -> None:
    """From the running container to the same (or another) release behind the proxy.

    Raises Unhealthy when that did not work: then the container serves as before.
    """
    traffic = Traffic(site)
    try:
        with site.progress.step(f"start {release.id}") as step:
            step.detail = "a second time, beside the running one"
            beside.start(site, release)
            beside.wait_healthy(site, release, known=True)
        whole = site.host.read(site.releases.compose_file(release.id))
        traffic.declare(Rendered.parse(whole))
        traffic.prepare((beside.route(site, release),), release.health)
        with site.progress.step("handover") as step:
            gap_s = _change_hands(site, traffic, release)
            step.detail = f"the port went to the proxy, away for {format_duration(gap_s)}"
        remove_leftovers(site, release)
    except StockctlError as error:
        traffic.take_down()
        beside.remove(site, release.id)
        raise Unhealthy(
            f"the proxy could not take over, the container serves as before: {error.message}",
            details=error.details,
            hint=error.hint,
        ) from error


def _change_hands(site: Site, traffic: Traffic, release: Release) -> float:
    """Seconds in which a request would have found nobody."""
    proxy = traffic.container()
    assert proxy is not None
    old = [c.id for c in site.released_containers() if c.status == "running"]
    stop_s = site.environment.deploy.stop_timeout
    probe = Probe(site, release)
    with probe:
        try:
            command = outlasting(site.directory, script(proxy.id, stop_s, old))
            site.host.run(command, timeout_s=stop_s + BEYOND_S)
        except BaseException:
            settle(site)  # it goes on without us
            raise
        traffic.await_started()
        probe.until_answered()
    return probe.gap_s


def remove_leftovers(site: Site, release: Release) -> None:
    """Released services in the long-lived project, once the proxy serves in their place."""
    left = [c.service for c in site.released_containers()]
    if left and Traffic(site).running():
        command = site.stack(release).remove(sorted(set(left)))
        stop_s = site.environment.deploy.stop_timeout
        site.host.run(command, timeout_s=stop_s + BEYOND_S)
