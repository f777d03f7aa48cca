"""Strategy `rolling`: the new release beside the old one, and the requests go over.

start → healthy → smoke (the candidate directly) → canary, switch → smoke (in public) → watch

Until `live.json` is written the old release runs and can take everything back; afterwards it runs
on for `deploy.soak`.
"""

from __future__ import annotations

from stockctl.core.errors import StockctlError, Unhealthy
from stockctl.core.progress import Progress, silent
from stockctl.core.units import counted
from stockctl.deploy import beside, canary, handover
from stockctl.deploy.events import Happening, ask, tell
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.site import Site
from stockctl.deploy.standing import declare_for, stand, withdraw
from stockctl.deploy.traffic import Traffic
from stockctl.env.event import Event
from stockctl.smoke.run import require, smoke
from stockctl.system.compose import Rendered


def roll(site: Site, release: Release, previous: Release | None, rendered: Rendered) -> Release:
    """From the previous release to this one. On failure the previous one serves: Unhealthy."""
    beside.write(site, release.id, rendered)
    try:
        _prepare_proxy(site, rendered)
        if previous is not None:
            _find_its_feet(site, previous)
        with site.progress.step("start"):
            beside.start(site, release)
        with site.progress.step("healthy"):
            beside.wait_healthy(site, release)
        _smoke_candidate(site, release)
        ask(site, Happening(Event.BEFORE_SWITCH, release, previous))
        canary.shift(site, release, previous)
        tell(site, Happening(Event.AFTER_SWITCH, release, previous))
        if site.environment.smoke:
            require(
                smoke(site.environment.smoke, _public(site, release), site.progress),
                release.id,
            )
        _watch(site, release)
        release = release.ended(ReleaseState.FINISHED, site.progress.steps)
        site.releases.put(release)
        site.releases.set_live(release.id, previous, site.clock.now())
    except BaseException as error:
        if site.is_live(release.id):
            raise
        _show(site, release, error)
        withdraw(site, release, previous, error)
        raise _withdrawn(site, release, previous, error) from error
    return release


def _find_its_feet(site: Site, previous: Release) -> None:
    """What should serve does, before anything else. A release that cannot is no reason not to
    deploy the next one: that may be the cure."""
    try:
        stand(site, previous)
    except Unhealthy as error:
        if Traffic(site).running() is None:
            raise
        site.progress.warn(f"{previous.id} does not serve: {error.message}")


def _prepare_proxy(site: Site, rendered: Rendered) -> None:
    """Its container, and with it the networks that a candidate needs. Where it runs and its
    description has changed it is replaced, which takes a moment."""
    traffic = Traffic(site)
    if traffic.running() is None:
        traffic.declare(rendered)
        traffic.make()
    elif traffic.between_two() or traffic.describe(rendered) != traffic.described():
        with site.progress.step("proxy") as step:
            traffic.replace(rendered)
            step.detail = "replaced, since its configuration changed"


def _smoke_candidate(site: Site, release: Release) -> None:
    checks = site.environment.smoke
    if not checks:
        return
    with site.progress.step("smoke candidate") as step:
        quiet = Progress(silent, site.clock)
        require(smoke(checks, beside.url(site, release), quiet), f"candidate {release.id}")
        step.detail = f"{counted(len(checks), 'check')}, before it gets requests"


def _public(site: Site, release: Release) -> str:
    """Where users reach it; during maintenance nobody does, so that it is asked directly."""
    if Traffic(site).maintenance() is not None:
        return beside.url(site, release)
    return site.reached(site.service.url)


def _watch(site: Site, release: Release) -> None:
    seconds = site.environment.deploy.watch
    if seconds:
        with site.progress.step("watch") as step:
            step.detail = canary.watch(site, (beside.route(site, release),), release, seconds)


def _show(site: Site, release: Release, error: BaseException) -> None:
    """The container's last words go into the error, before the container goes away."""
    if not isinstance(error, StockctlError) or "its last lines" in error.details:
        return
    try:
        words = beside.last_words(site, beside.containers(site, release.id))
    except StockctlError:
        return
    error.details = "\n".join(filter(None, (error.details, *words)))


def _withdrawn(
    site: Site, release: Release, previous: Release | None, error: BaseException
) -> BaseException:
    if previous is None or not isinstance(error, StockctlError):
        return error
    return Unhealthy(
        f"{release.id} was withdrawn, {previous.id} serves: {error.message}",
        details=error.details,
        hint=f"stockctl deploy history {site.environment.name}",
    )


def roll_back(site: Site, target: Release, running: Release | None) -> None:
    """To an earlier release: where it runs only the requests change over, else it starts first.

    Raises Unhealthy when it does not serve; then what ran before does.
    """
    try:
        if handover.needed(site):
            handover.take_over(site, target)
        else:
            _change_over(site, target, running)
        site.releases.set_live(target.id, running, site.clock.now())
    except BaseException as error:
        if site.is_live(target.id) or running is None or running.id == target.id:
            raise
        _show(site, target, error)
        withdraw(site, target, running, error, keep=True)
        if isinstance(error, StockctlError):
            raise Unhealthy(
                f"{target.id} does not serve, {running.id} does: {error.message}",
                details=error.details,
            ) from error
        raise


def _change_over(site: Site, target: Release, running: Release | None) -> None:
    """Where what serves now is not healthy itself (the database is down, say), the target does
    not have to be: there is nothing to lose, and health would wait for something else."""
    seen = beside.look(site, target)
    if not seen.healthy:
        nothing_to_lose = running is None or not beside.look(site, running).healthy
        if not (nothing_to_lose and seen.answers):
            with site.progress.step(f"start {target.id}"):
                beside.start(site, target)
                beside.wait_healthy(site, target, known=True, any_answer=nothing_to_lose)
            seen = beside.look(site, target)
    with site.progress.step("switch") as step:
        declare_for(site, target)
        Traffic(site).route((beside.route_to(target, seen.found),), target.health)
        step.detail = f"{running.id if running else '?'} → {target.id}"
    if not beside.look(site, target).healthy:
        site.progress.warn(f"{target.id} serves and is not healthy, as the release before it")
