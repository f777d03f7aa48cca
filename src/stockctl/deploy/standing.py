"""What serves, and making what should serve do so, whatever a killed command left behind."""

from __future__ import annotations

from stockctl.core.errors import PersonNeeded, StockctlError, Terminated
from stockctl.deploy import beside, handover
from stockctl.deploy.comeback import through_restart
from stockctl.deploy.release import Records, Release
from stockctl.deploy.site import Site
from stockctl.deploy.traffic import Traffic
from stockctl.system.compose import Rendered


def serving(site: Site) -> Release | None:
    """The release that gets the requests: most of them by the proxy's configuration, else the one
    whose container is in the long-lived project. One that has ended counts too: whoever wants to
    go back from a release that crashed does not want it again."""
    return serving_of(site, site.releases.records())


def serving_of(site: Site, records: Records) -> Release | None:
    """The same, of records that were read just now."""
    shares = Traffic(site).shares()
    known = records.ids()
    named = [name for name in sorted(shares, key=shares.__getitem__, reverse=True) if name in known]
    if not named:
        named = [c.release for c in site.released_containers() if c.release in known]
    return records.get(named[0]) if named else None


def shares_of(site: Site) -> dict[str, int]:
    """Which release gets how many percent of the requests."""
    traffic = Traffic(site)
    if traffic.running() is not None:
        return traffic.shares()
    ran = [c.release for c in site.released_containers() if c.status == "running" and c.release]
    return {ran[0]: 100} if ran else {}


def well(site: Site, release: Release) -> bool:
    """Whether it gets all the requests and answers them."""
    traffic = Traffic(site)
    routed = traffic.running() is not None and traffic.shares() == {release.id: 100}
    return routed and beside.look(site, release).answers


def stand(site: Site, release: Release) -> None:
    """Makes it the release that gets all the requests; nothing to do where it is.

    Raises Unhealthy when it does not come up, ToolFailed when the proxy does not.
    """
    if handover.needed(site):
        handover.take_over(site, release)
        return
    handover.remove_leftovers(site, release)
    if not beside.look(site, release).answers:
        with site.progress.step(f"start {release.id}"):
            beside.start(site, release)
            beside.wait_healthy(site, release, known=True)
    declare_for(site, release)
    Traffic(site).route((beside.route(site, release),), release.health)


def declare_for(site: Site, release: Release) -> None:
    """Describes the proxy as this release's configuration wants it, where nobody has yet."""
    traffic = Traffic(site)
    if not site.host.exists(traffic.document):
        traffic.declare(Rendered.parse(site.host.read(site.releases.compose_file(release.id))))


def withdraw(
    site: Site,
    failed: Release,
    previous: Release | None,
    cause: BaseException,
    *,
    keep: bool = False,
) -> None:
    """After a failure: the previous release gets all the requests, the failed one is removed, or
    with `keep` only stopped: one that served before is a way back that somebody may mend.

    Raises PersonNeeded, with the state and what to type, when the requests cannot be brought back.
    What cannot be tidied then is left to the next deploy.
    """
    try:
        through_restart(site, cause, lambda away: _give_back(site, failed, previous, away))
    except (Exception, KeyboardInterrupt, Terminated) as second:  # whatever it was, it failed
        raise _person_needed(site, failed, previous, cause, second) from second
    try:
        with site.progress.step(f"{'stop' if keep else 'remove'} {failed.id}"):
            (beside.stop if keep else beside.remove)(site, failed.id)
    except StockctlError as error:
        cause.add_note(f"{failed.id} is left to the next deploy: {error}")


def _give_back(site: Site, failed: Release, previous: Release | None, away: bool) -> None:
    """The proxy, where its replacement failed; the requests, where the failed one got any; and what
    an engine that was `away` did not start again by itself."""
    traffic = Traffic(site)
    if traffic.between_two():
        with site.progress.step("put the proxy back"):
            traffic.put_back()
    touched = failed.id in traffic.shares()
    if previous is None:
        if touched:
            traffic.take_down()
    elif touched:
        with site.progress.step(f"back to {previous.id}"):
            stand(site, previous)
            traffic.drain()
    elif away and traffic.container() is not None and not handover.needed(site):
        stand(site, previous)


def _person_needed(
    site: Site,
    failed: Release,
    previous: Release | None,
    cause: BaseException,
    second: BaseException,
) -> PersonNeeded:
    name = site.environment.name
    wanted = previous.id if previous else "the state before"
    typed = [f"Look: stockctl deploy status {name}"]
    if previous is not None:
        typed.append(f"Then type: stockctl deploy rollback {name} --to {previous.id}")
        typed.append(f"or by hand: {beside.by_hand(site, previous.id)}")
    typed.append(f"The proxy, by hand: {Traffic(site).by_hand()}")
    return PersonNeeded(
        f"release {failed.id} failed, and {wanted} could not be brought back",
        details="\n".join(["first:", *told(cause), "then:", *told(second), "now:", *states(site)]),
        hint="\n".join(typed),
    )


def told(error: BaseException) -> list[str]:
    """An error and its details, indented."""
    details = getattr(error, "details", "").splitlines()
    return [f"  {line}" for line in (str(error) or type(error).__name__, *details)]


def states(site: Site) -> list[str]:
    """The containers and the traffic, as far as the engine still answers."""
    try:
        found = site.containers()
    except StockctlError:
        return ["  the Docker engine does not answer"]
    lines = [f"  {c.name}: {c.state}" for c in found]
    shares = Traffic(site).shares()
    lines += [f"  {release} gets {share} % of the requests" for release, share in shares.items()]
    return lines or ["  no container is left"]
