"""Each gate red and green, on values and files; no engine, no database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from tests.conftest import FakeClock, Recorder
from tests.unit.backup.test_catalog import add
from tests.unit.deploy.preflight.conftest import DAY, Make, gate, live

from stockctl.backup.checks import Checks, write_checks
from stockctl.core.errors import Refused, UsageError
from stockctl.core.progress import Message
from stockctl.core.secret import Secret
from stockctl.deploy.evidence import Evidence, EvidenceBook
from stockctl.deploy.preflight.gate import Candidate
from stockctl.deploy.preflight.own import answer
from stockctl.deploy.preflight.run import preflight, require
from stockctl.env.gate_settings import GateSettings
from stockctl.env.model import DatabaseSettings
from stockctl.system.local import LocalHost


def test_what_is_not_set_is_not_asked(make: Make) -> None:
    assert [each.name for each in preflight(make())] == ["environment", "migrations"]
    assert all(each.ok for each in preflight(make()))
    assert not gate(make(errors=2), "environment").ok


def test_backup_age(make: Make, clock: FakeClock) -> None:
    what = make(backup_younger_than="26h")
    assert gate(what, "backup-age").detail == "there is no backup"
    backup = add(what.store, "prod")  # type: ignore[arg-type]
    green = gate(what, "backup-age")
    assert (green.ok, green.since) == (True, backup.created_at)
    clock.sleep(27 * 3600)
    red = gate(what, "backup-age")
    assert (red.ok, red.fix) == (False, "stockctl backup create prod")


def test_backup_verified(make: Make, clock: FakeClock) -> None:
    what = make(backup_verified_within="7d")
    backup = add(what.store, "prod")  # type: ignore[arg-type]
    assert gate(what, "backup-verified").detail == "none was ever verified"
    made = Checks().passed(clock.now(), "bytes")  # as `backup create` does
    write_checks(what.store, backup, made)
    red = gate(what, "backup-verified")
    assert (red.ok, red.detail) == (False, "none was ever verified, only read back")
    assert red.fix == "stockctl backup verify prod"
    write_checks(what.store, backup, made.passed(clock.now(), "archive"))
    assert gate(what, "backup-verified").ok
    write_checks(what.store, backup, made.drilled(clock.now(), 3.0))
    assert gate(what, "backup-verified").ok
    clock.sleep(8 * DAY)
    old = made.drilled(what.site.clock.now() - timedelta(days=8), 3.0)
    write_checks(what.store, backup, old.passed(clock.now(), "bytes"))  # renews nothing
    assert not gate(what, "backup-verified").ok
    write_checks(what.store, backup, Checks(failed="cut"))
    assert "broken: cut" in gate(what, "backup-verified").detail


def test_a_sealed_backup_is_verified_where_the_key_is(make: Make, tmp_path: Path) -> None:
    what = make(backup_verified_within="7d")
    backup = replace(add(what.store, "prod"), recipients=("age1x",))  # type: ignore[arg-type]
    what.store.put(backup.object, b"data")
    what.store.put(backup.manifest, backup.to_json())
    fix = "stockctl backup verify prod"
    assert gate(what, "backup-verified").fix == f"Where the private key is: {fix}"
    settings = what.site.environment.backup.model_copy(update={"identity_file": tmp_path / "key"})
    environment = what.site.environment.model_copy(update={"backup": settings})
    here = replace(what, site=replace(what.site, environment=environment))
    assert gate(here, "backup-verified").fix == fix


def test_backup_drilled(make: Make, clock: FakeClock) -> None:
    what = make(backup_drilled_within="35d")
    backup = add(what.store, "prod")  # type: ignore[arg-type]
    assert gate(what, "backup-drilled").fix == "stockctl backup verify prod --drill"
    write_checks(what.store, backup, Checks(drilled_at=clock.now(), restore_s=3))
    assert gate(what, "backup-drilled").ok
    clock.sleep(36 * DAY)
    assert not gate(what, "backup-drilled").ok


def test_smoke_of_what_is_live(make: Make, clock: FakeClock) -> None:
    what = make(staging="staging", smoke_within="7d")
    assert what.stage is not None
    book = EvidenceBook(what.stage.host, what.stage.directory)
    assert not gate(what, "smoke").ok
    live(what.stage, steps=())
    assert "never smoke-tested" in gate(what, "smoke").detail
    book.put(Evidence("smoke", clock.now(), True, "me", of="sha256:1"))
    assert not gate(what, "smoke").ok  # of another image
    book.put(Evidence("smoke", clock.now(), True, "me", of="sha256:2"))
    assert gate(what, "smoke").ok
    clock.sleep(8 * DAY)
    assert not gate(what, "smoke").ok
    live(what.stage)  # its deploy smoke-tested it
    assert gate(what, "smoke").ok
    book.put(Evidence("smoke", clock.now(), False, "me", of="sha256:2", detail="login"))
    assert "failed on staging: login" in gate(what, "smoke").detail


def test_load_of_what_is_live(make: Make, clock: FakeClock) -> None:
    what = make(staging="staging", load_within="30d")
    assert what.stage is not None
    book = EvidenceBook(what.stage.host, what.stage.directory)
    live(what.stage)
    assert gate(what, "load").fix == "stockctl load staging --profile normal"
    book.put(Evidence("load-normal", clock.now(), True, "me", of="sha256:1"))
    assert not gate(what, "load").ok  # of another image
    book.put(Evidence("load-normal", clock.now(), True, "me", of="sha256:2"))
    assert gate(what, "load").ok
    clock.sleep(31 * DAY)
    assert not gate(what, "load").ok
    book.put(Evidence("load-normal", clock.now(), False, "me", of="sha256:2", detail="p95_ms"))
    assert "not passed on staging: p95_ms" in gate(what, "load").detail


def test_this_version_was_rehearsed(make: Make, clock: FakeClock) -> None:
    what = make(rehearsed_within="7d")
    assert gate(what, "rehearsal").fix == "stockctl deploy rehearse prod --tag v2"
    for version, ok, green in (("v1", True, False), ("v2", False, False), ("v2", True, True)):
        what.evidence.put(Evidence("rehearsal", clock.now(), ok, "me", of=version))
        assert gate(what, "rehearsal").ok is green
    clock.sleep(8 * DAY)
    assert not gate(what, "rehearsal").ok


def test_what_is_not_committed_is_like_nothing_that_was_tried(make: Make, clock: FakeClock) -> None:
    """`abc-dirty` was live and rehearsed; today's `abc-dirty` may be anything."""
    what = make(staging="staging", staging_for="48h", rehearsed_within="7d")
    assert what.stage is not None
    dirty = replace(what, candidate=Candidate("abc-dirty", "shop:abc-dirty", True, dirty=True))
    live(what.stage, version="abc-dirty", dirty=True)
    what.evidence.put(Evidence("rehearsal", clock.now(), True, "me", of="abc-dirty"))
    red = gate(dirty, "staging")
    assert not red.ok
    assert red.detail.endswith("the working tree differs from its commit")
    assert red.fix == "Commit first, then: stockctl deploy staging"
    red = gate(dirty, "rehearsal")
    assert (red.ok, red.fix) == (False, "Commit first, then: stockctl deploy rehearse prod")


def test_a_program_is_run_for_what_is_not_committed_and_that_counts_once(
    make: Make, tmp_path: Path
) -> None:
    counted = {"run": ["sh", "-c", "echo ran >> runs"], "fresh_for": "1h"}
    clean = make(commands={"audit": counted})
    dirty = replace(clean, candidate=replace(clean.candidate, dirty=True))
    for what, runs in ((dirty, 1), (dirty, 2), (clean, 3), (clean, 3), (dirty, 4)):
        assert gate(what, "audit").ok
        assert (tmp_path / "runs").read_text() == "ran\n" * runs


def test_a_rollback_was_tried(make: Make, clock: FakeClock) -> None:
    what = make(staging="staging", rollback_within="90d")
    assert what.stage is not None
    with pytest.raises(ZeroDivisionError), what.stage.journal.operation("rollback to r0001"):
        raise ZeroDivisionError
    assert gate(what, "rollback").detail == "never tried on staging"
    with what.stage.journal.operation("rollback to r0001"):
        pass
    assert gate(what, "rollback").ok
    clock.sleep(91 * DAY)
    assert not gate(what, "rollback").ok


def test_disk_lint_and_certificate(make: Make, tmp_path: Path) -> None:
    assert gate(make(disk_used_at_most=100), "disk").ok
    assert not gate(make(disk_used_at_most=1), "disk").ok
    assert (
        gate(make(certificate_valid_for="14d"), "certificate").detail == "service.url is not https"
    )
    assert gate(make(lint=True), "lint").detail == "no migrations"
    what = make(lint=True)
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_a.sql").write_text("-- phase: expand\nCREATE TABLE a (id int);\n")
    (folder / "0001_a.rollback.sql").write_text("DROP TABLE a;\n")
    database = DatabaseSettings(url=Secret("postgresql://a:b@h/d"), migrations=folder)
    environment = what.site.environment.model_copy(update={"database": database})
    with_migrations = replace(what, site=replace(what.site, environment=environment))
    assert gate(with_migrations, "lint").ok
    (folder / "0001_a.sql").write_text("-- phase: expand\nCREATE TABEL a (id int);\n")
    assert not gate(with_migrations, "lint").ok


def test_a_program_its_deadline_and_its_freshness(
    make: Make, clock: FakeClock, tmp_path: Path
) -> None:
    counted = {"run": ["sh", "-c", "echo ran >> runs; test ! -e red"], "fresh_for": "1h"}
    what = make(commands={"audit": counted})
    runs = tmp_path / "runs"
    assert gate(what, "audit").ok
    assert gate(what, "audit").detail.startswith("passed")
    assert runs.read_text() == "ran\n"  # the second time it was fresh
    other = replace(what, candidate=Candidate("v3", "shop:v3", build=True))
    assert gate(other, "audit").ok
    clock.sleep(2 * 3600)
    (tmp_path / "red").touch()
    assert gate(other, "audit").detail.endswith("ended with 1")
    assert runs.read_text() == "ran\nran\nran\n"
    slow = make(commands={"slow": {"run": ["sleep", "60"], "timeout": "100ms"}})
    assert "could not be asked" in gate(slow, "slow").detail
    gone = make(commands={"gone": {"run": ["no-such-program-here"]}})
    assert not gate(gone, "gone").ok


def test_a_question_is_answered_by_somebody_for_a_while(make: Make, clock: FakeClock) -> None:
    what = make(people={"leader": {"ask": "Who?", "valid_for": "1d"}})
    assert gate(what, "leader").detail == "Who? Nobody answered."
    answer(what, "leader", "Ada")
    assert gate(what, "leader").detail.startswith("Who? Ada (")
    assert gate(what, "leader").ok
    assert [each.started.command for each in what.site.journal.operations()] == ["gate leader: Ada"]
    clock.sleep(25 * 3600)
    assert not gate(what, "leader").ok


def test_somebody_is_on_call(make: Make, clock: FakeClock) -> None:
    what = make(on_call="7d")
    red = gate(what, "on-call")
    assert (red.ok, red.detail) == (False, "Who is on call? Nobody answered.")
    assert red.fix == "stockctl deploy preflight prod --answer on-call=TEXT"
    answer(what, "on-call", "Ada")
    assert gate(what, "on-call").ok
    clock.sleep(8 * DAY)
    assert not gate(what, "on-call").ok


def test_red_is_refused_with_what_to_do_and_nothing_is_journalled(make: Make) -> None:
    what = make(disk_used_at_most=1, people={"told": {"ask": "Told?"}})
    with pytest.raises(Refused, match="2 of 4 gates are red: disk, told") as caught:
        require(what, preflight(what))
    assert "→ stockctl deploy preflight prod --answer told=TEXT" in caught.value.details
    with pytest.raises(Refused, match="1 of 4 gates are red: told"):
        require(what, preflight(what, {"disk": "bigger one is coming"}))
    assert what.site.journal.operations() == []


def test_an_override_is_loud_and_journalled(make: Make, recorder: Recorder) -> None:
    what = make(disk_used_at_most=1)
    require(what, preflight(what, {"disk": "bigger one is coming", "migrations": "green anyhow"}))
    commands = [each.started.command for each in what.site.journal.operations()]
    assert commands == ["override gate disk: bigger one is coming"]
    said = [event.text for event in recorder.events if isinstance(event, Message)]
    assert said[0].startswith("GATE disk OVERRIDDEN: bigger one is coming (")


def test_an_override_of_what_is_not_asked_is_a_mistake(make: Make) -> None:
    with pytest.raises(UsageError, match="no gate dsik is asked"):
        preflight(make(), {"dsik": "x"})


@pytest.mark.parametrize("name", ["Audit", "disk", "on-call", "a b"])
def test_names_of_ones_own_gates(name: str) -> None:
    with pytest.raises(ValidationError):
        GateSettings.model_validate({"commands": {name: {"run": ["true"]}}})


def test_evidence_that_cannot_be_read_proves_nothing(tmp_path: Path, clock: FakeClock) -> None:
    book = EvidenceBook(LocalHost(), tmp_path)
    assert book.get("smoke") is None
    book.put(Evidence("smoke", clock.now(), True, "me", "x", "y"))
    assert book.get("smoke") == Evidence("smoke", clock.now(), True, "me", "x", "y")
    (tmp_path / "evidence" / "smoke.json").write_text('{"ok": true}')
    assert book.get("smoke") is None
