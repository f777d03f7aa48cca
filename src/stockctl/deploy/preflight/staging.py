"""The gate `staging`: the same image was live there for long enough, and well all that time.

Whatever tells that it was not well begins the time anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from stockctl.core.units import counted, format_duration
from stockctl.deploy.evidence import SMOKE_FAILED, EvidenceBook
from stockctl.deploy.preflight.gate import (
    COMMIT,
    SKEW_S,
    UNSAVED,
    Gate,
    Preflight,
    age_s,
    ahead,
)
from stockctl.deploy.preflight.stage import ROLLBACK
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.site import Site
from stockctl.deploy.watching.run import FOLDER as WATCHED
from stockctl.system.container import Container
from stockctl.system.http import Request, send

HEALTH_S = 10.0
_DEPLOY_AGAIN = "Set its clock right, then: stockctl deploy {}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What told, and when, that a release was not well."""

    at: datetime
    what: str


def same_image(preflight: Preflight) -> Gate:
    """Raises StockctlError where staging's machine or engine cannot be asked."""
    stage = preflight.stage
    assert stage is not None
    where, live = stage.environment.name, stage.releases.live()
    if live is None:
        said = f"nothing is live on {where}"
        return Gate("staging", False, said, fix=f"stockctl deploy {where}")
    if preflight.candidate.dirty:
        said = f"nobody can say whether {where} has the same: {UNSAVED}"
        return Gate("staging", False, said, fix=COMMIT.format(f"stockctl deploy {where}"))
    wrong = _differs(preflight, live)
    if wrong:
        fix = f"stockctl deploy {where} --tag {preflight.candidate.version}"
        return Gate("staging", False, f"{where} has {wrong}", live.created_at, fix)
    since = _live_since(stage, live)
    age = age_s(stage, since)
    if age < -SKEW_S:
        said = f"{live.version} went live on {where} {ahead(age)}"
        return Gate("staging", False, said, since, _DEPLOY_AGAIN.format(where))
    return _well(stage, live, since, preflight.settings.staging_for)


def _well(stage: Site, live: Release, since: datetime, need: float) -> Gate:
    """For so long without a break, and now."""
    where = stage.environment.name
    containers = tuple(c for c in stage.live_containers() if c.service in stage.service.release)
    said = f"{live.version} is live on {where} for {_for(stage, since)}"
    last = max(_troubles(stage, live, containers, since), key=lambda t: t.at, default=None)
    if last is not None:
        since = last.at
        said += f", and without trouble for {_for(stage, since)}: {last.what} then"
    age = max(age_s(stage, since), 0.0)
    if age < need:
        fix = f"Wait {format_duration(need - age)} more."
        return Gate("staging", False, f"{said}, needs {format_duration(need)}", since, fix)
    wrong = _unwell(stage, containers)
    if wrong:
        fix = f"stockctl status {where}"
        return Gate("staging", False, f"{said}, and is not well: {wrong}", since, fix)
    looked = (
        f"no rollback, withdrawal, failed smoke or watch, or restart of"
        f" {counted(len(containers), 'container')} since; {stage.service.health} answers 200 now"
    )
    return Gate("staging", True, f"{said}\n{looked}", since)


def _for(stage: Site, since: datetime) -> str:
    return format_duration(max(age_s(stage, since), 0.0))


def _live_since(stage: Site, live: Release) -> datetime:
    """When it went live the last time: what was rolled back to was away meanwhile."""
    standing = stage.releases.standing()
    return standing.since if standing and standing.since else live.created_at


def _differs(preflight: Preflight, live: Release) -> str:
    """Images by their id. One that is still to be built has none: then by the version, and by the
    commit where both are known."""
    wanted = preflight.candidate
    if not wanted.build:
        found = preflight.site.engine.image_id(wanted.reference)
        if found is not None:
            return "" if found == live.image_id else f"another image, {live.image}"
    if live.version != wanted.version:
        return f"another version, {live.version}"
    if wanted.build and live.dirty:
        return f"another {live.version}, built from a working tree that differed from its commit"
    if wanted.commit and live.commit and wanted.commit != live.commit:
        return f"another {live.version}, built from {live.commit[:12]}, not {wanted.commit[:12]}"
    return ""


def _troubles(
    stage: Site, live: Release, containers: Sequence[Container], since: datetime
) -> Iterator[Trouble]:
    """After that moment."""
    found = [*_operations(stage), *_withdrawn(stage, live), *_watched(stage, live)]
    found += [*_smoked(stage, live), *_started(containers)]
    yield from (each for each in found if each.at > since)


def _operations(stage: Site) -> Iterator[Trouble]:
    """A rollback that worked makes another release live; one after which this one is still live
    did not, or went and came."""
    for each in stage.journal.operations():
        if each.started.command.startswith(ROLLBACK):
            yield Trouble(each.started.at, f"`{each.started.command}` was tried")


def _withdrawn(stage: Site, live: Release) -> Iterator[Trouble]:
    """Another release of the same image, which did not become live, or not for long."""
    for each in stage.releases.all():
        bad = each.state is ReleaseState.FAILED or each.withdrawn
        if bad and each.id != live.id and each.image_id == live.image_id:
            yield Trouble(each.created_at, f"{each.id}, the same image, was withdrawn")


def _watched(stage: Site, live: Release) -> Iterator[Trouble]:
    """`deploy watch` keeps what it saw of a release that was not well, by time and release."""
    for name in stage.host.names(stage.directory / WATCHED):
        at, _, release = name.removesuffix(".json").partition("-")
        if release == live.id:
            with suppress(ValueError):
                moment = datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                yield Trouble(moment, "`deploy watch` found it unwell")


def _smoked(stage: Site, live: Release) -> Iterator[Trouble]:
    failed = EvidenceBook(stage.host, stage.directory).get(SMOKE_FAILED)
    if failed is not None and failed.of == live.image_id:
        yield Trouble(failed.at, f"smoke failed ({failed.detail})")


def _started(containers: Sequence[Container]) -> Iterator[Trouble]:
    """They start before a release goes live; whatever starts later was away."""
    for each in containers:
        if each.started_at is not None:
            yield Trouble(each.started_at, f"{each.name} was started")


def _unwell(stage: Site, containers: Sequence[Container]) -> str:
    """What is not as it should be at this moment; empty where all is."""
    missing = set(stage.service.release) - {each.service for each in containers}
    if missing:
        return f"{min(missing)} has no container"
    for each in containers:
        if each.status != "running" or each.health == "unhealthy":
            return f"{each.name} is {each.state}"
    url = stage.reached(stage.service.url.rstrip("/") + stage.service.health)
    answer = send(Request("GET", url), timeout_s=HEALTH_S)
    came = answer.failure or str(answer.status)
    return "" if answer.status == 200 else f"{stage.service.health}: {came}"
