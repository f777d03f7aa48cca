"""The file for node_exporter holds what is known, and nothing where nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.backup.test_manifest import AT, backup

from stockctl.backup.checks import Checks
from stockctl.backup.clients import hole
from stockctl.backup.index import summarize
from stockctl.backup.metrics import render
from stockctl.backup.overview import Overview


def values(data: bytes) -> dict[str, float]:
    families = text_string_to_metric_families(data.decode())
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels["environment"] for sample in samples} == {"prod"}
    return {sample.name.removeprefix("stockctl_backup_"): sample.value for sample in samples}


def rendered(catalogue: Overview) -> bytes:
    return render(catalogue, AT)


def test_what_was_never_checked_has_no_time() -> None:
    found = values(rendered(Overview("prod", (summarize(backup()),), {})))
    assert found == {
        "last_success_timestamp_seconds": AT.timestamp(),
        "duration_seconds": 4.1,
        "size_bytes": 10,
        "database_bytes": 100,
        "rows": 5,
        "count": 1,
    }


def test_the_last_drill_is_told_when_there_is_a_newer_backup() -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    checks = {"older": Checks().drilled(at, 12.5), "old": Checks().drilled(AT, 13.0)}
    found = values(rendered(Overview("prod", (summarize(backup()),), checks)))
    assert found["restore_seconds"] == 13.0
    assert found["drilled_timestamp_seconds"] == AT.timestamp()
    assert "verified_timestamp_seconds" not in found


def test_a_backup_from_the_future_does_not_hide_that_none_is_made() -> None:
    ahead = backup(created_at=AT + timedelta(days=3653))
    found = values(rendered(Overview("prod", (summarize(ahead), summarize(backup())), {})))
    assert found["last_success_timestamp_seconds"] == AT.timestamp()
    assert found["count"] == 2


def test_no_backup_at_all() -> None:
    assert values(rendered(Overview("prod", (), {}))) == {"count": 0}


@pytest.mark.parametrize(
    ("said", "upgrade"),
    [
        ("pg_dump (PostgreSQL) 18.6", ""),
        ("pg_dump (PostgreSQL) 18.5 (Debian 18.5-1)", "18.6"),
        ("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.19"),
        ("pg_dump (PostgreSQL) 13.23", "a version that is maintained"),
        ("pg_dump (PostgreSQL) 19.1", ""),
        ("pg_dump (PostgreSQL) 19beta1", ""),
        ("", ""),
    ],
)
def test_versions_that_are_known_to_be_unsafe(said: str, upgrade: str) -> None:
    assert bool(hole(said)) == bool(upgrade)
    assert hole(said).endswith(upgrade)
