"""Watches until the time is over, another release is live, or this one has to go."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from stockctl.core.errors import PersonNeeded, Refused, StockctlError, Unhealthy
from stockctl.core.units import format_instant
from stockctl.deploy.release import Release
from stockctl.deploy.rollback import RolledBack, plan_rollback, rollback
from stockctl.deploy.site import Site
from stockctl.deploy.watching.judge import Judge, Reading
from stockctl.deploy.watching.look import Eyes

FOLDER = "watch"  # in the environment's directory: what was seen of releases that had to go
WAIT_S = 60.0  # for somebody who is at work; then a person has to decide
Show = Callable[[Judge, tuple[Reading, ...], float], None]


@dataclass(frozen=True, slots=True)
class Watched:
    """How it ended. `reason`: why the release had to go, empty where it was well. `judged`: whether
    there were requests enough to say anything about them."""

    release: Release
    looks: int
    reason: str = ""
    ended: str = ""
    judged: bool = False


def watch(site: Site, seconds: float, show: Show) -> Watched:
    """Only looks. Raises Refused where nothing is live."""
    live = site.releases.live()
    if live is None:
        name = site.environment.name
        raise Refused(f"nothing is live on {name}", hint=f"stockctl deploy {name}")
    settings = site.environment.watch
    judge, eyes, until = Judge(settings), Eyes(site), site.clock.monotonic() + seconds
    looks, judged = 0, False
    while True:
        if not site.is_live(live.id):
            return Watched(live, looks, ended="another release is live", judged=judged)
        readings = judge.add(eyes.look())
        looks += 1
        judged = judged or any(r.name == "error_rate" and r.value is not None for r in readings)
        left = until - site.clock.monotonic()
        show(judge, readings, left)
        reason = judge.verdict(readings)
        if reason:
            _keep(site, live, judge, reason)
            return Watched(live, looks, reason=reason, judged=judged)
        if left <= 0:
            return Watched(live, looks, ended="the time is over", judged=judged)
        site.clock.sleep(min(settings.interval, left))


def withdraw(site: Site, watched: Watched) -> RolledBack:
    """Brings back what ran before. Raises PersonNeeded where that does not work: the release that
    is not well still serves."""
    bad = watched.release
    try:
        plan = plan_rollback(site, None)
        if plan.live.id != bad.id:
            raise Refused(f"{plan.live.id} is live meanwhile")
        done = rollback(site, plan, WAIT_S)
    except StockctlError as error:
        if isinstance(error, PersonNeeded):
            raise
        name = site.environment.name
        raise PersonNeeded(
            f"{bad.id} is not well ({watched.reason}), and could not be rolled back: {error}",
            details=error.details,
            hint=f"stockctl status {name}",
        ) from error
    try:
        site.releases.put(replace(bad, reason=watched.reason))
    except StockctlError as error:
        site.progress.warn(f"why {bad.id} was withdrawn is not recorded: {error}")
    return done


def withdrawn(watched: Watched, done: RolledBack) -> Unhealthy:
    """The error that tells it."""
    return Unhealthy(
        f"{watched.release.id} was withdrawn, {done.release.id} serves again: {watched.reason}",
        hint="What was seen is under watch/ in host.directory.",
    )


def _keep(site: Site, live: Release, judge: Judge, reason: str) -> None:
    """What was seen. That it cannot be written must not keep a bad release alive."""
    now = site.clock.now()
    looks = [asdict(each) for each in judge.looks]
    for each in looks:
        each["sample"] = each["sample"] and {
            "requests": each["sample"]["requests"],
            "errors": each["sample"]["errors"],
        }
    seen = {"release": live.id, "at": format_instant(now), "reason": reason, "looks": looks}
    try:
        file = site.directory / FOLDER / f"{now:%Y%m%dT%H%M%SZ}-{live.id}.json"
        site.host.write(file, json.dumps(seen, indent=1).encode() + b"\n")
    except StockctlError as error:
        site.progress.warn(f"what was seen is not kept: {error}")
