"""Gates on what was tried before, on staging."""

from __future__ import annotations

from datetime import datetime

from stockctl.core.journal import Outcome
from stockctl.core.units import format_duration
from stockctl.deploy.evidence import EvidenceBook
from stockctl.deploy.preflight.gate import SKEW_S, Gate, Preflight, age_s, aged, ahead
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.site import Site
from stockctl.system.http import Request, send

HEALTH_S = 10.0
_DEPLOY_AGAIN = "Set its clock right, then: stockctl deploy {}"
_UNSAVED = "the working tree differs from its commit"
_COMMIT = "Commit first, then: {}"
ROLLBACK = ("rollback", "deploy rollback")  # how the journal calls it


def same_image(preflight: Preflight) -> Gate:
    """Live there for long enough, and well at this moment."""
    stage = preflight.stage
    assert stage is not None
    where, need = stage.environment.name, preflight.settings.staging_for
    live = stage.releases.live()
    if live is None:
        fix = f"stockctl deploy {where}"
        return Gate("staging", False, f"nothing is live on {where}", fix=fix)
    if preflight.candidate.dirty:
        said = f"nobody can say whether {where} has the same: {_UNSAVED}"
        return Gate("staging", False, said, fix=_COMMIT.format(f"stockctl deploy {where}"))
    wrong = _differs(preflight, live)
    if wrong:
        fix = f"stockctl deploy {where} --tag {preflight.candidate.version}"
        return Gate("staging", False, f"{where} has {wrong}", live.created_at, fix)
    since = _live_since(stage, live)
    age = age_s(stage, since)
    if age < -SKEW_S:
        said = f"{live.version} went live on {where} {ahead(age)}"
        return Gate("staging", False, said, since, _DEPLOY_AGAIN.format(where))
    said = f"{live.version} is live on {where} for {format_duration(max(age, 0.0))}"
    if age < need:
        fix = f"Wait {format_duration(need - age)} more."
        return Gate("staging", False, f"{said}, needs {format_duration(need)}", since, fix)
    answer = send(
        Request("GET", stage.reached(stage.service.url.rstrip("/") + stage.service.health)),
        timeout_s=HEALTH_S,
    )
    if answer.status != 200:
        came = answer.failure or str(answer.status)
        fix = f"stockctl status {where}"
        return Gate("staging", False, f"{said}, and is not well: {came}", since, fix)
    return Gate("staging", True, f"{said}, and well", since)


def _live_since(stage: Site, live: Release) -> datetime:
    """When it went live the last time: what was rolled back to was away meanwhile."""
    standing = stage.releases.standing()
    return standing.since if standing and standing.since else live.created_at


def _differs(preflight: Preflight, live: Release) -> str:
    """Images by their id. One that is still to be built has none: then by the version."""
    wanted = preflight.candidate
    if not wanted.build:
        found = preflight.site.engine.image_id(wanted.reference)
        if found is not None:
            return "" if found == live.image_id else f"another image, {live.image}"
    if live.version != wanted.version:
        return f"another version, {live.version}"
    if wanted.build and live.dirty:
        return f"another {live.version}, built from a working tree that differed from its commit"
    return ""


def smoked(preflight: Preflight) -> Gate:
    """By a deploy or by hand; of the image that is live there."""
    limit, site = preflight.settings.smoke_within, preflight.proving
    assert limit is not None
    where = site.environment.name
    fix = f"stockctl smoke {where}"
    live = site.releases.live()
    if live is None:
        return Gate("smoke", False, f"nothing is live on {where}", fix=fix)
    evidence = EvidenceBook(site.host, site.directory).get("smoke")
    if evidence and evidence.of == live.image_id and not evidence.ok:
        return Gate("smoke", False, f"failed on {where}: {evidence.detail}", evidence.at, fix)
    moments = [_smoked_by_deploy(live)]
    moments += [evidence.at] if evidence and evidence.of == live.image_id else []
    known = [moment for moment in moments if moment]
    if not known:
        return Gate("smoke", False, f"{live.id} was never smoke-tested on {where}", fix=fix)
    gate = aged(site, "smoke", max(known), limit, f"passed on {where}")
    return gate if gate.ok else Gate("smoke", False, gate.detail, gate.since, fix)


def loaded(preflight: Preflight) -> Gate:
    """By a whole run of the profile, of the image that is live there."""
    limit, site = preflight.settings.load_within, preflight.proving
    assert limit is not None
    where, profile = site.environment.name, preflight.settings.load_profile
    fix = f"stockctl load {where} --profile {profile}"
    live = site.releases.live()
    evidence = EvidenceBook(site.host, site.directory).get(f"load-{profile}")
    if live is None or evidence is None or evidence.of != live.image_id:
        said = f"{profile} was never run on {where} with the image that is live"
        return Gate("load", False, said, fix=fix)
    if not evidence.ok:
        return Gate("load", False, f"not passed on {where}: {evidence.detail}", evidence.at, fix)
    gate = aged(site, "load", evidence.at, limit, f"{profile} passed on {where}")
    return gate if gate.ok else Gate("load", False, gate.detail, gate.since, fix)


def rehearsed(preflight: Preflight) -> Gate:
    """Here, with the version that is about to be deployed."""
    limit, version = preflight.settings.rehearsed_within, preflight.candidate.version
    assert limit is not None
    fix = f"stockctl deploy rehearse {preflight.name} --tag {version}"
    if preflight.candidate.dirty:
        said = f"nobody can say whether the same was rehearsed: {_UNSAVED}"
        again = f"stockctl deploy rehearse {preflight.name}"
        return Gate("rehearsal", False, said, fix=_COMMIT.format(again))
    evidence = preflight.evidence.get("rehearsal")
    if evidence is None or evidence.of != version:
        return Gate("rehearsal", False, f"{version} was not rehearsed", fix=fix)
    if not evidence.ok:
        return Gate("rehearsal", False, f"{version} did not pass", evidence.at, fix)
    gate = aged(preflight.site, "rehearsal", evidence.at, limit, f"{version} passed")
    return gate if gate.ok else Gate("rehearsal", False, gate.detail, gate.since, fix)


def _smoked_by_deploy(live: Release) -> datetime | None:
    steps = [step for step in live.steps if step.name.startswith("smoke")]
    return live.created_at if steps and live.state is ReleaseState.FINISHED else None


def rolled_back(preflight: Preflight) -> Gate:
    """The way back was gone, by somebody, not too long ago."""
    limit, site = preflight.settings.rollback_within, preflight.proving
    assert limit is not None
    where = site.environment.name
    last = _last_rollback(site)
    fix = f"stockctl deploy rollback {where}"
    if last is None:
        return Gate("rollback", False, f"never tried on {where}", fix=fix)
    gate = aged(site, "rollback", last, limit, f"tried on {where}")
    return gate if gate.ok else Gate("rollback", False, gate.detail, gate.since, fix)


def _last_rollback(site: Site) -> datetime | None:
    moments = [
        each.ended.at
        for each in site.journal.operations()
        if each.started.command.startswith(ROLLBACK)
        and each.ended is not None
        and each.ended.outcome is Outcome.FINISHED
    ]
    return max(moments, default=None)
