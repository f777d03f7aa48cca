"""What becomes of releases that do not serve, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stockctl.deploy.release import Release, ReleaseState, Standing
from stockctl.deploy.tidy import Act, Chore, Facts, plan_tidy

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def release(number: int, state: ReleaseState = ReleaseState.FINISHED) -> Release:
    return Release(
        id=f"r{number:04d}",
        version="v",
        image="i",
        image_id="sha256:0",
        created_at=NOW,
        who="ada",
        url="http://127.0.0.1:1",
        health="/health",
        state=state,
        previous=f"r{number - 1:04d}",
    )


THREE = Facts(
    beside={"r0001": True, "r0002": True, "r0003": True},
    records=(release(1), release(2), release(3)),
    standing=Standing("r0003", "r0002", NOW - timedelta(minutes=1)),
    shares={"r0003": 100},
    rolling=True,
    soak_s=600,
    keep=5,
    served_s=60,
)


def chores(facts: Facts) -> dict[str, tuple[Act, str]]:
    return {chore.release: (chore.act, chore.reason) for chore in plan_tidy(facts)}


def test_within_the_soak_the_release_before_runs_on() -> None:
    assert plan_tidy(THREE) == (Chore("r0001", Act.STOP, "it is not the release before"),)


def test_after_the_soak_it_is_stopped_and_kept() -> None:
    late = replace(THREE, served_s=600)
    assert chores(late)["r0002"] == (Act.STOP, "its soak is over")
    stopped = replace(late, beside={"r0002": False, "r0003": True})
    assert plan_tidy(stopped) == ()


def test_what_a_killed_deploy_left_is_removed() -> None:
    killed = replace(
        THREE,
        beside={"r0003": True, "r0004": True, "r0009": False},
        records=(*THREE.records, release(4, ReleaseState.STARTED)),
    )
    assert chores(killed) == {
        "r0004": (Act.REMOVE, "its deploy never ended well"),
        "r0009": (Act.REMOVE, "no record of it is left"),
    }


def test_what_gets_requests_is_never_touched() -> None:
    """A first deploy that was killed after the switch: no record says that it serves."""
    first = replace(
        THREE,
        beside={"r0001": True},
        records=(release(1, ReleaseState.STARTED), *(release(n) for n in range(2, 9))),
        standing=None,
        shares={"r0001": 100},
    )
    assert "r0001" not in chores(first)


def test_beyond_keep_all_of_it_goes_but_never_the_way_back() -> None:
    one = replace(THREE, keep=1)
    assert chores(one) == {"r0001": (Act.FORGET, "beyond the last 1")}
    back = replace(one, standing=Standing("r0001", "r0003", NOW), shares={"r0001": 100})
    assert chores(back) == {"r0002": (Act.FORGET, "beyond the last 1")}


@pytest.mark.parametrize("name", ["r0001", "r0002"])
def test_recreate_leaves_nothing_beside(name: str) -> None:
    standing = Standing("r0003", "r0002", NOW)
    recreate = replace(THREE, rolling=False, shares={}, standing=standing)
    assert chores(recreate)[name][0] is Act.REMOVE
