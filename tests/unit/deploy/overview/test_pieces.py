"""What each piece says of a state, and what it advises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import FakeClock
from tests.unit.backup.test_catalog import add

from stockctl.backup.checks import Checks, write_checks
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.directory import DirectoryStore
from stockctl.core.errors import StoreFailed
from stockctl.core.progress import Progress, silent
from stockctl.core.redact import Redactor
from stockctl.deploy.overview.backups import backups_part
from stockctl.deploy.overview.host import disk_part, last_part, lock_part
from stockctl.deploy.overview.live import containers_part, live_part
from stockctl.deploy.overview.part import Level, Part
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.site import Site
from stockctl.env.model import Environment
from stockctl.system.container import Container
from stockctl.system.engine import Engine
from stockctl.system.journal_file import Journal
from stockctl.system.local import LocalHost

SERVICE = {
    "name": "shop",
    "compose": ["/nowhere/compose.yaml"],
    "release": ["app"],
    "web": "app",
    "port": 80,
    "image": "shop",
    "url": "http://127.0.0.1:1",
}


@pytest.fixture
def site(tmp_path: Path, clock: FakeClock) -> Site:
    document = {"name": "prod", "service": SERVICE, "host": {"directory": tmp_path}}
    environment = Environment.model_validate({**document, "backup": {"store": "/nowhere"}})
    host = LocalHost()
    journal = Journal(host, tmp_path, "prod", clock, Redactor())
    progress = Progress(silent, clock)
    return Site(environment, {}, host, Engine(), None, journal, clock, progress)


def release(site: Site, number: int, **fields: Any) -> Release:
    """Recorded; number 2 is two minutes younger than number 0."""
    made = Release(
        id=f"r{number:04d}",
        version=f"v{number}",
        image="shop:v",
        image_id="sha256:0",
        created_at=site.clock.now() + timedelta(minutes=number - 9),
        who="me@here",
        url="",
        health="",
        state=ReleaseState.FINISHED,
    )
    made = replace(made, **fields)
    site.releases.put(made)
    return made


def advised(part: Part) -> list[str]:
    return [each.command for each in part.advice]


def test_nothing_was_deployed_yet(site: Site) -> None:
    assert advised(live_part(site)) == ["stockctl deploy prod"]


def test_the_live_release_and_how_long_it_serves(site: Site) -> None:
    site.releases.set_live(release(site, 3).id)
    part = live_part(site)
    assert (part.level, part.said) == (Level.GOOD, ("r0003  v3  for 6m 00s, by me@here",))
    assert part.data["id"] == "r0003"


def test_a_maintenance_that_goes_on_and_how_to_end_it(site: Site) -> None:
    site.releases.set_live(release(site, 3).id)
    assert live_part(site).data["maintenance"] is False
    site.maintenance_file.write_text('{"retry_after_s": 60, "page": ""}')
    part = live_part(site)
    assert (part.level, part.said[-1]) == (
        Level.NOTICE,
        "maintenance is on: everybody gets 503",
    )
    assert advised(part) == ["stockctl deploy maintenance prod --off"]
    assert part.data["maintenance"] is True


@pytest.mark.parametrize(
    ("state", "said", "advice"),
    [
        (ReleaseState.FAILED, "failed 5m 00s ago: no", []),
        (ReleaseState.FINISHED, "was rolled back", []),
        (ReleaseState.STARTED, "was interrupted 5m 00s ago", ["stockctl deploy rollback prod"]),
    ],
)
def test_a_newer_release_that_does_not_serve(
    site: Site, state: ReleaseState, said: str, advice: list[str]
) -> None:
    site.releases.set_live(release(site, 3).id)
    release(site, 4, state=state, reason="no\nmore" if state is ReleaseState.FAILED else "")
    part = live_part(site)
    assert part.level is Level.NOTICE
    assert said in part.said[1]
    assert advised(part) == advice


def test_a_newer_release_that_was_withdrawn(site: Site) -> None:
    site.releases.set_live(release(site, 3).id)
    release(site, 4, reason="error_rate is 8.3 %")
    part = live_part(site)
    assert part.said[1] == "r0004  v4  was withdrawn: error_rate is 8.3 %; deployed 5m 00s ago"
    assert part.data["newest_state"] == "withdrawn"


def test_the_first_deploy_failed(site: Site) -> None:
    release(site, 1, state=ReleaseState.FAILED, reason="no\nmore")
    part = live_part(site)
    assert part.said == ("nothing serves: r0001  v1  failed 8m 00s ago: no",)
    assert (part.data["id"], part.data["newest_state"]) == (None, "failed")
    assert advised(part) == ["stockctl deploy history prod"]
    release(site, 2, state=ReleaseState.STARTED)
    assert advised(live_part(site)) == ["stockctl deploy prod"]


def test_a_deploy_that_is_at_work_is_no_interrupted_one(site: Site) -> None:
    site.releases.set_live(release(site, 3).id)
    release(site, 4, state=ReleaseState.STARTED)
    with site.host.lock(site.lock_file, site.journal.holder("deploy r0004")):
        part, lock = live_part(site), lock_part(site)
    assert "is being deployed" in part.said[1]
    assert part.advice == ()
    assert "deploy r0004" in lock.said[0]
    assert lock_part(site).said == ("free",)


def container(service: str = "app", **fields: Any) -> Container:
    made = Container("1", f"shop-prod-{service}-1", service, "i", "r0003", "running", None, 0, 0)
    return replace(made, **fields)


DB = container("postgres", release=None)
CONTAINERS = [
    ([container(health="healthy"), DB], Level.GOOD, []),
    ([container(health="starting"), DB], Level.NOTICE, ["stockctl deploy logs prod"]),
    ([container(restarts=4), DB], Level.BAD, ["stockctl deploy logs prod"]),
    (
        [container(), replace(DB, status="exited", exit_code=137)],
        Level.BAD,
        ["docker start shop-prod-postgres-1"],
    ),
    (
        [container(), replace(DB, health="unhealthy")],
        Level.NOTICE,
        ["stockctl deploy logs prod --service postgres"],
    ),
    ([DB], Level.BAD, ["stockctl deploy rollback prod --to r0003"]),
]


@pytest.mark.parametrize(("containers", "level", "advice"), CONTAINERS)
def test_containers(
    site: Site, containers: list[Container], level: Level, advice: list[str]
) -> None:
    site.releases.set_live(release(site, 3).id)
    part = containers_part(site, containers)
    assert (part.level, advised(part)) == (level, advice)


@pytest.fixture
def backup(site: Site, tmp_path: Path) -> Backup:
    return add(DirectoryStore(tmp_path / "store"), "prod")


CHECKS = {
    "verified": (
        Checks().passed(FakeClock.at, "archive"),
        Level.NOTICE,
        ["stockctl backup verify prod --drill"],
    ),
    "read back, never verified": (
        Checks().passed(FakeClock.at, "bytes"),
        Level.NOTICE,
        ["stockctl backup verify prod"],
    ),
    "not verified": (Checks(), Level.NOTICE, ["stockctl backup verify prod"]),
    "broken": (Checks(failed="cut"), Level.BAD, ["stockctl backup create prod"]),
}


@pytest.mark.parametrize("word", CHECKS)
def test_the_newest_backup(site: Site, tmp_path: Path, backup: Backup, word: str) -> None:
    checks, level, advice = CHECKS[word]
    store = DirectoryStore(tmp_path / "store")
    write_checks(store, backup, checks)
    part = backups_part(site, store)
    assert (part.level, advised(part)) == (level, advice)
    assert f", {word}, never restored" in part.said[0]


def test_one_of_this_week_was_verified(
    site: Site, tmp_path: Path, backup: Backup, clock: FakeClock
) -> None:
    """The newest is of last night: only read back, and that is well until the alert would come."""
    store = DirectoryStore(tmp_path / "store")
    write_checks(store, backup, Checks().drilled(clock.now() - timedelta(days=7), 41))
    newer = add(store, "prod", minutes=60)
    write_checks(store, newer, Checks().passed(clock.now(), "bytes"))
    part = backups_part(site, store)
    assert part.level is Level.GOOD, part
    assert ", read back, one verified 7d 0h ago, " in part.said[0]
    assert part.data["verified_at"] is None
    write_checks(store, backup, Checks().drilled(clock.now() - timedelta(days=9), 41))
    part = backups_part(site, store)
    assert (part.level, advised(part)) == (Level.NOTICE, ["stockctl backup verify prod"])


def test_a_backup_gets_old(site: Site, tmp_path: Path, backup: Backup, clock: FakeClock) -> None:
    store = DirectoryStore(tmp_path / "store")
    write_checks(store, backup, Checks().drilled(clock.now(), 41))
    good = backups_part(site, store)
    assert (good.level, good.advice) == (Level.GOOD, ())
    assert "restores in 41s;" in good.said[0]
    assert good.data["drilled_on"] is None
    how = "an embedded PostgreSQL 16, 2 jobs"
    write_checks(store, backup, Checks().drilled(clock.now(), 41, how))
    assert f"restores in 41s (drilled on {how});" in backups_part(site, store).said[0]
    clock.sleep(27 * 3600)
    part = backups_part(site, store)
    assert (part.level, advised(part)) == (Level.BAD, ["stockctl backup create prod"])


def test_a_backup_from_the_future_makes_no_other_younger(
    site: Site, tmp_path: Path, backup: Backup, clock: FakeClock
) -> None:
    store = DirectoryStore(tmp_path / "store")
    add(store, "prod", minutes=10 * 365 * 24 * 60)
    clock.sleep(27 * 3600)
    part = backups_part(site, store)
    assert (part.data["newest"], part.data["count"]) == (backup.id, 2)
    assert advised(part) == ["stockctl backup create prod"]


def test_a_store_that_is_gone_is_no_empty_one(site: Site, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "gone")
    assert backups_part(site, store).said == ("there is none yet",)  # before the first deploy
    site.releases.set_live(release(site, 3).id)
    with pytest.raises(StoreFailed):
        backups_part(site, store)


def test_disk_and_the_last_things(site: Site) -> None:
    assert disk_part(site).data["total_bytes"] > 0
    assert last_part(site).said == ("nothing yet",)
    for number in range(5):
        with site.journal.operation(f"backup {number}"):
            pass
    part = last_part(site)
    assert [line.split("  ")[1] for line in part.said] == ["backup 4", "backup 3", "backup 2"]
