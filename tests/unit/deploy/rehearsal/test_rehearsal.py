"""What a rehearsal runs in, and what it says, as values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stockctl.core.errors import BackupInvalid
from stockctl.core.progress import StepEnded
from stockctl.core.report import Check, Report, Severity
from stockctl.core.secret import Secret
from stockctl.db.proof.nouns import Problem, TableLock
from stockctl.deploy.rehearsal.report import Contract, Rehearsal, Rehearsed, as_data
from stockctl.deploy.rehearsal.stand_in import official, plain, pointed, stand_in
from stockctl.system.postgres import Dsn


def problem(code: str) -> Problem:
    return Problem(code, Severity.ERROR, "wrong", Path("0001.sql"))


EXCLUSIVE = TableLock("orders", "AccessExclusiveLock", False)
WEAK = TableLock("users", "RowExclusiveLock", False)
GOOD = Rehearsed("0001_a", 0.2, (EXCLUSIVE, WEAK), reversible=True)
SLOW = Rehearsed("0002_b", 3.0, (EXCLUSIVE, WEAK), reversible=False)
BAD = Rehearsed("0003_c", 0.1, (), (problem("P003"),), reversible=True)
FAILED = Rehearsed("0004_d", None, None, failed="syntax error")
SMOKE = Report((Check("health", True),))


def rehearsal(*migrations: Rehearsed, smoke: Report = SMOKE, unwell: str = "") -> Rehearsal:
    return Rehearsal(
        version="v2",
        image_id="sha256:2",
        backup="b1",
        restore_s=9.0,
        migrations=migrations,
        start_s=2.0,
        unwell=unwell,
        smoke=smoke,
        smoke_s=0.5,
        backup_s=4.0,
    )


def test_only_a_strong_lock_that_is_held_for_long_blocks() -> None:
    assert GOOD.blocking == ()
    assert SLOW.blocking == (EXCLUSIVE,)


def test_the_forecast_is_what_a_deploy_does_one_after_the_other() -> None:
    found = rehearsal(GOOD, SLOW)
    assert found.ok
    assert found.forecast_s == 4.0 + 3.2 + 2.0 + 0.5
    assert as_data(found)["forecast_s"] == 9.7
    assert found.forecast == {"backup": 4.0, "migrations": 3.2, "start": 2.0, "smoke": 0.5}
    migrator = replace(found, command_s=1.5)
    assert migrator.forecast_s == 9.7 + 1.5
    assert replace(found, command_failed="no").forecast_s is None
    assert replace(found, stop_s=3.0).forecast_s == 9.7 + 3.0
    rolling = replace(found, smokes=2, watched_s=35.0)
    assert rolling.forecast_s == 9.7 + 0.5 + 35.0


def test_what_is_not_ready_has_no_forecast() -> None:
    broken = Report((Check("health", False),))
    for found in (
        rehearsal(BAD),
        rehearsal(FAILED),
        rehearsal(GOOD, smoke=broken),
        rehearsal(GOOD, unwell="it ended"),
    ):
        assert (found.ok, found.forecast_s) == (False, None)


def test_a_contract_migration_that_does_not_work_does_not_stop_the_deploy() -> None:
    broken = Report((Check("health", False),))
    for later in (
        Contract((FAILED,), ("r0001",)),
        Contract((GOOD,), (), smoke=broken),
        Contract((), (), failed="the ledger and the files differ"),
    ):
        found = replace(rehearsal(GOOD), contract=later)
        assert (later.ok, found.ok, found.forecast_s) == (False, True, 6.7)
        assert as_data(found)["contract"]["ok"] is False
    assert Contract((GOOD,), (), smoke=SMOKE).ok


def test_what_a_rollback_will_be_able_to_do() -> None:
    assert rehearsal().way_back == "code and configuration; the schema stays as it is"
    assert rehearsal(GOOD).way_back.endswith("--with-database")
    assert rehearsal(GOOD, SLOW, BAD).way_back.endswith("not the schema: 0002_b, 0003_c")


DSN = Dsn(
    "db.example.com", 6432, "own", Secret("p@ss"), "shop",
    (("sslmode", "require"), ("options", "-csearch_path=app")),
)  # fmt: skip


def test_the_official_image_is_that_of_the_backups_server() -> None:
    assert official("16.4 (Debian 16.4-1)") == "postgres:16"
    with pytest.raises(BackupInvalid):
        official("unknown")


def test_the_service_is_pointed_at_the_stand_in_wherever_it_names_the_live_database() -> None:
    there = "own:p%40ss@rehearsal-database:5432/shop"
    service = {
        "image": "shop",
        "environment": {
            "DATABASE_URL": "postgresql+asyncpg://app:x@10.0.0.5:6432/shop?sslmode=require",
            "READER": "postgres://reader:x@replica/shop",
            "WAREHOUSE": "postgresql://app:x@10.0.0.5/warehouse",
            "REDIS_URL": "redis://cache/0",
            "EMPTY": None,
        },
    }
    assert pointed(service, DSN)["environment"] == {
        "DATABASE_URL": f"postgresql+asyncpg://{there}",
        "READER": f"postgres://{there}",
        "WAREHOUSE": "postgresql://app:x@10.0.0.5/warehouse",
        "REDIS_URL": "redis://cache/0",
        "EMPTY": None,
    }
    libpq = {"environment": {"PGHOST": "10.0.0.5", "PGSSLMODE": "require", "PORT": "80"}}
    assert pointed(libpq, DSN)["environment"] == {
        "PORT": "80",
        "PGHOST": "rehearsal-database",
        "PGUSER": "own",
        "PGPASSWORD": "p@ss",
        "PGDATABASE": "shop",
    }


def test_the_stand_in_is_entered_as_the_live_one_is_but_without_tls() -> None:
    found = plain(DSN, "172.20.0.2")
    assert (found.host, found.port, found.user) == ("172.20.0.2", 5432, "own")
    assert found.options == (("options", "-csearch_path=app"),)
    assert stand_in("postgres:16", DSN)["environment"]["POSTGRES_PASSWORD"] == "p@ss"


def test_where_its_own_seconds_went() -> None:
    both = tuple(Rehearsed(each, 1.0, ()) for each in ("0013_a", "0014_b"))
    ended = (("restore", 41.0), ("apply 0013_a", 1.0), ("apply 0014_b", 2.5), ("smoke: x", 0.2))
    steps = tuple(StepEnded(name, seconds, True) for name, seconds in (*ended, ("smoke", 0.3)))
    later = Contract((Rehearsed("0015_c", 1.0, ()),), ())
    steps += (StepEnded("apply 0015_c", 1.0, True),)
    found = Rehearsal("v2", "sha256:2", migrations=both, contract=later, steps=steps)
    assert found.spent_s == {"restore": 41.0, "apply": 4.5, "smoke": 0.3}
