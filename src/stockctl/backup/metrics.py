"""What a Prometheus server should know of backups, for node_exporter's textfile collector.

Names and units: https://prometheus.io/docs/practices/naming/. An age is not written, since it is
out of date at once: `time() - stockctl_backup_last_success_timestamp_seconds`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from stockctl.backup.checks import Checks
from stockctl.backup.overview import Listed, Overview, newest

_GAUGES: tuple[tuple[str, str, Callable[[Listed, Checks], float | None]], ...] = (
    (
        "last_success_timestamp_seconds",
        "When the snapshot of the newest backup was taken.",
        lambda backup, _: backup.created_at.timestamp(),
    ),
    ("duration_seconds", "How long it took to make it.", lambda backup, _: backup.duration_s),
    ("size_bytes", "What it takes in the store.", lambda backup, _: backup.size_bytes),
    ("database_bytes", "What it took on the server.", lambda backup, _: backup.database_bytes),
    ("rows", "Rows that are in it.", lambda backup, _: backup.rows),
    (
        "verified_timestamp_seconds",
        "When it was last decoded and found whole; absent when it never was, or is not any more.",
        lambda _, checks: checks.decoded_at.timestamp() if checks.decoded_at else None,
    ),
    (
        "drilled_timestamp_seconds",
        "When one was last restored with all its rows; absent when none ever was.",
        lambda _, checks: checks.drilled_at.timestamp() if checks.drilled_at else None,
    ),
    ("restore_seconds", "How long that took.", lambda _, checks: checks.restore_s),
)


def render(catalogue: Overview, now: datetime) -> bytes:
    """The file's content: the newest backup, the last drill of any, and how many there are."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    values = [("count", "How many backups there are.", float(len(catalogue.backups)))]
    latest = newest(catalogue.backups, now)
    if latest is not None:
        checks = _with_last_drill(catalogue.checks_of(latest), catalogue)
        found = ((name, text, value(latest, checks)) for name, text, value in _GAUGES)
        values += [(name, text, value) for name, text, value in found if value is not None]
    for name, text, value in values:
        gauge = Gauge(f"stockctl_backup_{name}", text, ["environment"], registry=registry)
        gauge.labels(catalogue.environment).set(value)
    return bytes(generate_latest(registry))


def _with_last_drill(checks: Checks, catalogue: Overview) -> Checks:
    """Not only its own: the newest backup is never the one that was drilled last week."""
    drilled = [each for each in catalogue.checks.values() if each.drilled_at]
    if not drilled:
        return checks
    last = max(drilled, key=lambda each: each.drilled_at or datetime.min)
    return replace(checks, drilled_at=last.drilled_at, restore_s=last.restore_s)
