"""Which releases keep running beside the live one, which are stopped, which are removed, and why.

Whatever a killed deploy left is found by its label, whether a record of it exists or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stockctl.core.errors import StockctlError
from stockctl.deploy import beside, files, handover, image
from stockctl.deploy.release import Release, ReleaseState, Standing
from stockctl.deploy.site import Site
from stockctl.deploy.standing import stand
from stockctl.deploy.traffic import Traffic
from stockctl.deploy.turn import turn


class Act(StrEnum):
    """What becomes of a release's containers, or of all of it."""

    STOP = "stop"
    REMOVE = "remove"  # the containers; the record stays
    FORGET = "forget"  # containers, record and image


@dataclass(frozen=True, slots=True)
class Chore:
    """One release, what is done with it, and why."""

    release: str
    act: Act
    reason: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the plan looks at. `beside`: release → whether any of its containers runs."""

    beside: Mapping[str, bool]
    records: Sequence[Release]  # oldest first
    standing: Standing | None
    shares: Mapping[str, int]
    rolling: bool
    soak_s: float
    keep: int
    served_s: float | None  # for how long the live release has been that, by the host's clock


def plan_tidy(facts: Facts) -> tuple[Chore, ...]:
    """Nothing that gets requests, serves by the records or is the way back of the soak goes."""
    records = {release.id: release for release in facts.records}
    untouched = set(facts.shares) | ({facts.standing.release} if facts.standing else set())
    forgotten = _beyond_keep(facts, untouched)
    chores = [Chore(each, Act.FORGET, f"beyond the last {facts.keep}") for each in forgotten]
    for name, runs in sorted(facts.beside.items()):
        if name in forgotten or (name in untouched and facts.rolling) or name in facts.shares:
            continue
        chore = _what_of(name, records.get(name), runs, facts)
        if chore is not None:
            chores.append(chore)
    return tuple(chores)


def _what_of(name: str, record: Release | None, runs: bool, facts: Facts) -> Chore | None:
    if record is None:
        return Chore(name, Act.REMOVE, "no record of it is left")
    if record.state is not ReleaseState.FINISHED:
        return Chore(name, Act.REMOVE, "its deploy never ended well")
    if not facts.rolling:
        return Chore(name, Act.REMOVE, "nothing runs beside with the strategy recreate")
    if not runs:
        return None
    standing = facts.standing
    if standing is not None and standing.replaced == name and facts.served_s is not None:
        if facts.served_s < facts.soak_s:
            return None
        return Chore(name, Act.STOP, "its soak is over")
    return Chore(name, Act.STOP, "it is not the release before")


def _beyond_keep(facts: Facts, untouched: set[str]) -> list[str]:
    """Except the live one, what gets requests, and what a rollback would take."""
    ids = [release.id for release in facts.records]
    live = facts.standing.release if facts.standing else None
    kept = untouched | {release.previous for release in facts.records if release.id == live}
    kept.add(facts.standing.replaced if facts.standing else None)
    return [each for each in ids[: -facts.keep] if each not in kept]


def facts(site: Site) -> Facts:
    """As they are now."""
    found: dict[str, bool] = {}
    for release, status in site.engine.beside_states(site.environment.project):
        found[release] = found.get(release, False) or status not in ("exited", "dead", "created")
    standing = site.releases.standing()
    settings = site.environment.deploy
    return Facts(
        beside=found,
        records=site.releases.all(),
        standing=standing,
        shares=Traffic(site).shares(),
        rolling=settings.strategy == "rolling",
        soak_s=settings.soak,
        keep=settings.keep,
        served_s=site.releases.served_s(standing),
    )


def overdue(site: Site) -> tuple[str, ...]:
    """Releases that run beside the live one for no reason any more. Raises EngineUnavailable."""
    return tuple(chore.release for chore in plan_tidy(facts(site)) if chore.act is Act.STOP)


def retire(site: Site) -> None:
    """After a watch that ended well: there is somebody who may do what the next deploy would. It
    stops nobody; what fails is said, and done by that one."""
    try:
        if overdue(site):
            tidy_up(site, 0.0)
    except StockctlError as error:
        site.progress.warn(f"old releases are left to the next deploy: {error}")


def tidy(site: Site, *, only_orphans: bool = False) -> tuple[Chore, ...]:
    """Carries the plan out. What fails is said and tried again next time: it stops no deploy."""
    try:
        seen = facts(site)
        chores = plan_tidy(seen)
        if only_orphans:
            chores = tuple(chore for chore in chores if chore.act is Act.REMOVE)
        if any(seen.beside.get(chore.release) for chore in chores):
            Traffic(site).drain()
        for chore in chores:
            _do(site, chore, chore.release in seen.beside)
        if not only_orphans:
            files.sweep(site)
    except StockctlError as error:
        site.progress.warn(f"old releases are not tidied away: {error}")
        return ()
    return chores


def tidy_up(site: Site, wait_s: float) -> tuple[Chore, ...]:
    """The same as an operation of its own, when it is our turn. The proxy is started where it was
    killed, and loads certificates that are new."""
    with turn(site, "deploy tidy", wait_s):
        live = site.releases.live()
        if site.rolling and live is not None and not handover.needed(site):
            stand(site, live)
        return tidy(site)


def _do(site: Site, chore: Chore, has_containers: bool) -> None:
    if chore.act is Act.STOP:
        beside.stop(site, chore.release)
    elif has_containers:
        beside.remove(site, chore.release)
    if chore.act is Act.FORGET:
        image.forget(site, chore.release)
        site.releases.forget(chore.release)
    if has_containers:
        done = {Act.STOP: "stopped"}.get(chore.act, "removed")
        site.progress.say(f"{chore.release} {done}: {chore.reason}")
