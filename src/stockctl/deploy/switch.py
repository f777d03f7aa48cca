"""Putting a release's containers in place (strategy `recreate`), and putting another one back."""

from __future__ import annotations

from stockctl.core.errors import PersonNeeded, StockctlError, Terminated
from stockctl.core.units import format_duration
from stockctl.deploy.comeback import through_restart
from stockctl.deploy.health import wait_healthy
from stockctl.deploy.outage import Probe
from stockctl.deploy.outlast import to_the_end
from stockctl.deploy.release import Release
from stockctl.deploy.site import Site
from stockctl.deploy.standing import told
from stockctl.deploy.traffic import Traffic

COMPOSE_S = 300.0  # beyond the stop timeout: pulling nothing, building nothing


def replace(site: Site, release: Release) -> None:
    """Stops the running containers of the released services and starts the release's, and does so
    also where we are killed meanwhile. A proxy of the strategy `rolling` goes first: it holds the
    port."""
    stop_s = site.environment.deploy.stop_timeout
    command = site.stack(release).replace(site.service.release, stop_s)
    to_the_end(site, (*Traffic(site).farewell(), command), COMPOSE_S + stop_s)


def put_in_place(
    site: Site, release: Release, before: Release | None, *, known: bool = False
) -> None:
    """Replaces and waits until it is healthy; says for how long nobody was served. `known`: it has
    served before. Raises what either does, Unhealthy."""
    with Probe(site, release) as probe:
        with site.progress.step("replace") as step:
            replace(site, release)
            step.detail = f"{before.id if before else 'nothing'} → {release.id}"
        with site.progress.step("healthy") as step:
            wait_healthy(site, release, known=known)
            probe.until_answered()
            if before is not None:
                step.detail = f"nobody was served for {format_duration(probe.gap_s)}"


def put_back(site: Site, failed: Release, previous: Release | None, cause: BaseException) -> None:
    """After a failure: the previous release serves again, or the failed one is at least gone.

    Raises PersonNeeded, with the state and what to type, when even that does not work.
    """
    try:
        through_restart(site, cause, lambda _: _put_back(site, failed, previous))
    except (Exception, KeyboardInterrupt, Terminated) as second:  # whatever it was, it failed
        raise _person_needed(site, failed, previous, cause, second) from second


def _put_back(site: Site, failed: Release, previous: Release | None) -> None:
    stop_s = site.environment.deploy.stop_timeout
    if previous is None:
        with site.progress.step(f"remove {failed.id}"):
            command = site.stack(failed).remove(site.service.release)
            to_the_end(site, (command,), COMPOSE_S + stop_s)
        return
    with site.progress.step(f"put {previous.id} back"):
        # Removed first: a container that the engine is still stopping looks like a running
        # one to Compose, which would leave it alone, and a moment later nothing serves.
        command = site.stack(previous).remove(site.service.release)
        to_the_end(site, (command,), COMPOSE_S + stop_s)
        replace(site, previous)
        wait_healthy(site, previous, known=True)


def _person_needed(
    site: Site,
    failed: Release,
    previous: Release | None,
    cause: BaseException,
    second: BaseException,
) -> PersonNeeded:
    services = site.service.release
    if previous is None:
        wanted, command = "the state before", site.stack(failed).remove(services)
    else:
        wanted, command = previous.id, site.stack(previous).replace(services, 30)
    return PersonNeeded(
        f"release {failed.id} failed, and {wanted} could not be brought back",
        details="\n".join(["first:", *told(cause), "then:", *told(second), "now:", *_states(site)]),
        hint=f"Look: stockctl deploy status {site.environment.name}\nThen type: {command}",
    )


def _states(site: Site) -> list[str]:
    """The containers, as far as the engine still answers."""
    try:
        found = site.released_containers()
    except StockctlError:
        return ["  the Docker engine does not answer"]
    lines = [f"  {c.name}: release {c.release}, {c.status}" for c in found]
    return lines or ["  no container is left"]
