"""Which release serves, since when; and the containers that it runs in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from stockctl.core.units import format_age, format_duration, format_instant
from stockctl.deploy.overview.part import RELEASE, SERVICE, Advice, Level, Part
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.site import Site
from stockctl.deploy.traffic import Traffic
from stockctl.system.container import Container


def live_part(site: Site) -> Part:
    """From the records on the host: also where nothing else answers."""
    part = _serving(site)
    closed = site.rolling and Traffic(site).maintenance() is not None
    part = replace(part, data={**part.data, "maintenance": closed})
    if not closed:
        return part
    back = Advice(
        RELEASE,
        f"stockctl deploy maintenance {site.environment.name} --off",
        "everybody gets 503 and the page of the maintenance",
        Level.NOTICE,
    )
    return replace(
        part,
        level=Level.NOTICE,
        said=(*part.said, "maintenance is on: everybody gets 503"),
        advice=(*part.advice, back),
    )


def _serving(site: Site) -> Part:
    live, now, name = site.releases.live(), site.clock.now(), site.environment.name
    tried = site.releases.ids()
    if live is None and tried:
        return _none_worked(site, site.releases.get(tried[-1]))
    if live is None:
        first = Advice(RELEASE, f"stockctl deploy {name}", "nothing was deployed yet", Level.NOTICE)
        there = site.host.exists(site.directory)
        nothing = "nothing was deployed yet" + ("" if there else f": there is no {site.directory}")
        return Part("live", Level.NOTICE, (nothing,), {"id": None}, (first,))
    age = (now - live.created_at).total_seconds()
    said = [f"{live.id}  {live.version}  for {format_duration(age)}, by {live.who}"]
    data = {
        "id": live.id,
        "version": live.version,
        "image_id": live.image_id,
        "since": format_instant(live.created_at),
        "who": live.who,
        "previous": live.previous,
    }
    newest = site.releases.get(tried[-1])
    if newest.id == live.id:  # not by the time: another operator's clock may be wrong
        return Part("live", Level.GOOD, tuple(said), data)
    word, advice = _newer(site, newest, live)
    said.append(f"{newest.id}  {newest.version}  {word}")
    return Part(
        "live",
        Level.NOTICE,
        tuple(said),
        {**data, "newest": newest.id, "newest_state": _state(site, newest)},
        advice,
    )


def _none_worked(site: Site, newest: Release) -> Part:
    """No deploy has ended well, the first one included."""
    word, advice = _newer(site, newest, None)
    said = f"nothing serves: {newest.id}  {newest.version}  {word}"
    data = {"id": None, "newest": newest.id, "newest_state": _state(site, newest)}
    history = f"stockctl deploy history {site.environment.name}"
    advice = advice or (Advice(RELEASE, history, said, Level.NOTICE),)
    return Part("live", Level.NOTICE, (said,), data, advice)


def _state(site: Site, newest: Release) -> str:
    """`started` is what an interrupted deploy leaves, unless one is at work."""
    if newest.withdrawn:
        return "withdrawn"
    busy = newest.state is ReleaseState.STARTED and site.host.holder(site.lock_file)
    return "deploying" if busy else newest.state.value


def _newer(site: Site, newest: Release, live: Release | None) -> tuple[str, tuple[Advice, ...]]:
    """What became of a release that is newer than the live one."""
    age = format_age((site.clock.now() - newest.created_at).total_seconds())
    reason = newest.reason.partition("\n")[0]
    if newest.withdrawn:
        return f"was withdrawn: {reason}; deployed {age}", ()
    if newest.state is ReleaseState.FINISHED:
        return f"was rolled back; deployed {age}", ()
    name = site.environment.name
    if newest.state is ReleaseState.FAILED:
        return f"failed {age}: {reason}", ()
    if site.host.holder(site.lock_file):
        return f"is being deployed since {age}", ()
    if live is None:
        why = f"the deploy of {newest.id} was interrupted: the next one begins anew"
        return f"was interrupted {age}", (Advice(RELEASE, f"stockctl deploy {name}", why),)
    why = f"the deploy of {newest.id} was interrupted: this makes sure that {live.id} serves"
    return f"was interrupted {age}", (Advice(RELEASE, f"stockctl deploy rollback {name}", why),)


def containers_part(site: Site, containers: Sequence[Container]) -> Part:
    """Every container of the environment, and whether it runs."""
    name = site.environment.name
    wrong = [each for each in containers if _trouble(each)]
    released = site.service.release
    here = {each.service for each in containers}
    live = site.releases.live()
    missing = [each for each in released if each not in here] if live else []
    data = {"containers": [_data(each) for each in containers]}
    if not wrong and not missing:
        return Part("containers", Level.GOOD, (_counted(containers) or "none",), data)
    said_wrong = [f"{each.name}: {_trouble(each)}" for each in wrong]
    said_wrong += [f"{each}: there is no container" for each in missing]
    advice = [_advice(site, each) for each in wrong]
    if missing and live:
        why = f"{missing[0]} has no container; this starts the live release again"
        advice.append(Advice(SERVICE, f"stockctl deploy rollback {name} --to {live.id}", why))
    bad = missing or any(each.gave_up or each.status != "running" for each in wrong)
    level = Level.BAD if bad else Level.NOTICE
    return Part("containers", level, tuple(said_wrong), data, tuple(advice))


def _counted(containers: Sequence[Container]) -> str:
    """`2 app healthy, postgres healthy`."""
    counts = Counter(f"{each.service} {each.health or each.status}" for each in containers)
    return ", ".join(f"{n} {said}" if n > 1 else said for said, n in counts.items())


def _trouble(container: Container) -> str:
    """What is not as it should be; empty where all is."""
    if container.status == "running" and container.restarts:
        return f"was restarted {container.restarts} times"
    if container.status == "exited":
        return f"exited with {container.exit_code}"
    if container.status != "running":
        return container.status
    return container.health if container.health in ("unhealthy", "starting") else ""


def _advice(site: Site, container: Container) -> Advice:
    """A long-lived service is started again, a release is looked at."""
    if container.service in site.service.release or container.status == "running":
        why = f"{container.name}: {_trouble(container)}; its last words"
        ours = container.service in site.service.release
        of = "" if ours else f" --service {container.service}"
        return Advice(SERVICE, f"stockctl deploy logs {site.environment.name}{of}", why)
    why = f"{container.service} {_trouble(container)}, and others need it"
    return Advice(SERVICE - 1, f"docker start {container.name}", why)


def _data(container: Container) -> dict[str, object]:
    return {
        "name": container.name,
        "service": container.service,
        "status": container.status,
        "health": container.health,
        "restarts": container.restarts,
        "release": container.release,
    }
