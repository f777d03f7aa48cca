"""The gate `staging`: what it takes to be well there for 48 hours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.conftest import FakeClock
from tests.unit.deploy.preflight.conftest import DAY, Fleet, Health, Make, gate, live

from stockctl.core.errors import Refused
from stockctl.deploy.evidence import Evidence, EvidenceBook
from stockctl.deploy.release import ReleaseState
from stockctl.deploy.site import Site


def test_staging_has_the_same_for_long_enough_and_is_well(make: Make, health: Health) -> None:
    what = make(staging="staging", staging_for="48h")
    assert what.stage is not None
    assert gate(what, "staging").detail == "nothing is live on staging"
    live(what.stage)
    green = gate(what, "staging")
    assert green.ok
    assert green.detail.splitlines() == [
        "v2 is live on staging for 3d 0h",
        "no rollback, withdrawal, failed smoke or watch, or restart of 1 container since;"
        " /health answers 200 now",
    ]
    health.status = 503
    assert "is not well: /health: 503" in gate(what, "staging").detail
    health.status = 200
    live(what.stage, version="v1")
    assert gate(what, "staging").detail == "staging has another version, v1"
    live(what.stage, created_at=what.site.clock.now() - timedelta(hours=47))
    young = gate(what, "staging")
    assert (young.ok, young.fix) == (False, "Wait 1h 00m more.")


def test_what_staging_wrote_goes_by_the_clock_of_staging(make: Make, clock: FakeClock) -> None:
    """Its host is three days behind; by our clock all of it would be three days older."""
    what = make(staging="staging", staging_for="48h", smoke_within="1h", rollback_within="1h")
    assert what.stage is not None
    behind = FakeClock(clock.at - timedelta(days=3))
    journal = replace(what.stage.journal, clock=behind)
    stage = replace(what.stage, clock=behind, journal=journal)
    what = replace(what, stage=stage)
    release = live(stage)
    stage.releases.set_live(release.id, since=behind.now())
    book = EvidenceBook(stage.host, stage.directory)
    book.put(Evidence("smoke", behind.now(), True, "me", of="sha256:2"))
    with journal.operation("rollback to r0001"):
        pass
    assert gate(what, "smoke").ok
    assert gate(what, "rollback").ok
    young = gate(what, "staging")
    assert (young.ok, young.fix) == (False, "Wait 2d 0h more.")
    for each in (clock, behind):
        each.sleep(2 * DAY)
    assert gate(what, "staging").ok
    assert not gate(what, "smoke").ok
    behind.slept_s -= 9 * DAY  # its clock was set back
    said = gate(what, "staging")
    assert not said.ok
    assert "went live on staging 7d 0h from now: a clock is wrong" in said.detail


def test_what_came_back_is_live_from_then_on(make: Make, clock: FakeClock) -> None:
    """It was made three days ago, and was away meanwhile."""
    what = make(staging="staging", staging_for="48h")
    assert what.stage is not None
    release = live(what.stage)
    what.stage.releases.set_live(release.id, since=clock.now() - timedelta(hours=1))
    assert gate(what, "staging").fix == "Wait 47h 00m more."


def test_what_staging_has_was_not_committed(make: Make) -> None:
    """With `--tag v2` both have the same name."""
    what = make(staging="staging", staging_for="48h")
    assert what.stage is not None
    live(what.stage, dirty=True)
    red = gate(what, "staging")
    assert not red.ok
    assert "another v2, built from a working tree that differed" in red.detail
    assert red.fix == "stockctl deploy staging --tag v2"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "exited"}, "shop-app-1 is exited, exit 0, started 1 times"),
        ({"health": "unhealthy"}, "shop-app-1 is running, unhealthy"),
        ({"service": "worker"}, "app has no container"),
    ],
)
def test_staging_runs_as_it_should(make: Make, fields: dict[str, Any], said: str) -> None:
    what = make(staging="staging", staging_for="48h")
    assert what.stage is not None
    live(what.stage)
    fleet(what.stage, **fields)
    red = gate(what, "staging")
    assert (red.ok, red.detail.endswith(f"is not well: {said}")) == (False, True), red


def fleet(stage: Site, **fields: Any) -> None:
    """Changes what runs there."""
    assert isinstance(stage.engine, Fleet)
    stage.engine.said = tuple(replace(each, **fields) for each in stage.engine.said)


def rolled_back(stage: Site) -> None:
    with suppress(Refused), stage.journal.operation("deploy rollback to r0001"):
        raise Refused("it does not serve")


def withdrawn(stage: Site) -> None:
    release = stage.releases.get("r0002")
    now, state = stage.clock.now(), ReleaseState.FAILED
    stage.releases.put(replace(release, id="r0003", created_at=now, state=state))


def watched(stage: Site) -> None:
    at = stage.clock.now()
    stage.host.write(stage.directory / "watch" / f"{at:%Y%m%dT%H%M%SZ}-r0002.json", b"{}")


def smoke_failed(stage: Site) -> None:
    """And passed the next time."""
    book = EvidenceBook(stage.host, stage.directory)
    book.put(Evidence("smoke-failed", stage.clock.now(), False, "me", "sha256:2", "login"))
    book.put(Evidence("smoke", stage.clock.now(), True, "me", "sha256:2"))


def restarted(stage: Site) -> None:
    fleet(stage, started_at=stage.clock.now())


TROUBLES: dict[Callable[[Site], None], str] = {
    rolled_back: "`deploy rollback to r0001` was tried then",
    withdrawn: "r0003, the same image, was withdrawn then",
    watched: "`deploy watch` found it unwell then",
    smoke_failed: "smoke failed (login) then",
    restarted: "shop-app-1 was started then",
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda each: each.__name__)
def test_trouble_on_staging_begins_the_time_anew(
    make: Make, clock: FakeClock, trouble: Callable[[Site], None]
) -> None:
    what = make(staging="staging", staging_for="48h")
    assert what.stage is not None
    live(what.stage)
    assert gate(what, "staging").ok
    trouble(what.stage)
    clock.sleep(47 * 3600)
    red = gate(what, "staging")
    assert (red.ok, red.fix) == (False, "Wait 1h 00m more.")
    assert TROUBLES[trouble] in red.detail
    clock.sleep(3600)
    assert gate(what, "staging").ok


@pytest.mark.parametrize("before", [watched, smoke_failed, rolled_back], ids=lambda e: e.__name__)
def test_trouble_before_it_went_live_is_none_of_its_own(
    make: Make, clock: FakeClock, before: Callable[[Site], None]
) -> None:
    what = make(staging="staging", staging_for="48h")
    assert what.stage is not None
    before(what.stage)
    clock.sleep(5)
    live(what.stage, created_at=clock.now())
    clock.sleep(2 * DAY - 3)
    assert gate(what, "staging").detail == "v2 is live on staging for 47h 59m, needs 2d 0h"
    clock.sleep(3)
    assert gate(what, "staging").ok


def test_one_version_of_two_commits_is_two(make: Make, clock: FakeClock) -> None:
    """`v2` was built on staging from another commit than the one that is checked out here."""
    what = make(staging="staging", staging_for="48h", rehearsed_within="7d")
    assert what.stage is not None
    what = replace(what, candidate=replace(what.candidate, commit="a" * 40))
    live(what.stage, commit="b" * 40)
    said = "staging has another v2, built from bbbbbbbbbbbb, not aaaaaaaaaaaa"
    assert gate(what, "staging").detail == said
    live(what.stage, commit="a" * 40)
    assert gate(what, "staging").ok
    what.evidence.put(Evidence("rehearsal", clock.now(), True, "me", of=f"v2@{'b' * 40}"))
    assert gate(what, "rehearsal").detail == "this v2, of another commit, was not rehearsed"
    what.evidence.put(Evidence("rehearsal", clock.now(), True, "me", of=f"v2@{'a' * 40}"))
    assert gate(what, "rehearsal").ok
