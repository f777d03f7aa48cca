"""Gates on what was tried before, on staging."""

from __future__ import annotations

from datetime import datetime

from stockctl.core.journal import Outcome
from stockctl.deploy.evidence import EvidenceBook
from stockctl.deploy.preflight.gate import COMMIT, UNSAVED, Gate, Preflight, aged
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.site import Site

ROLLBACK = ("rollback", "deploy rollback")  # how the journal calls it


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
        said = f"nobody can say whether the same was rehearsed: {UNSAVED}"
        again = f"stockctl deploy rehearse {preflight.name}"
        return Gate("rehearsal", False, said, fix=COMMIT.format(again))
    evidence = preflight.evidence.get("rehearsal")
    if evidence is None or evidence.of != preflight.candidate.identity:
        same = evidence is not None and evidence.of.partition("@")[0] == version
        which = f"this {version}, of another commit," if same else version
        return Gate("rehearsal", False, f"{which} was not rehearsed", fix=fix)
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
