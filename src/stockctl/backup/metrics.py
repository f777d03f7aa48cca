"""What a Prometheus server should know of backups, for node_exporter's textfile collector.

Names and units: https://prometheus.io/docs/practices/naming/. An age is not written, since it is
out of date at once: `time() - stockctl_backup_last_success_timestamp_seconds`.
"""

from __future__ import annotations

from collections.abc import Callable

from stockctl.backup.checks import Checks
from stockctl.backup.manifest import Backup

_GAUGES: tuple[tuple[str, str, Callable[[Backup, Checks], float | None]], ...] = (
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
        "When it was last found whole; absent when it never was, or is not any more.",
        lambda _, checks: checks.verified_at.timestamp() if checks.verified_at else None,
    ),
    (
        "drilled_timestamp_seconds",
        "When it was last restored with all its rows; absent when it never was.",
        lambda _, checks: checks.drilled_at.timestamp() if checks.drilled_at else None,
    ),
    ("restore_seconds", "How long that took.", lambda _, checks: checks.restore_s),
)


def render(backup: Backup, checks: Checks, count: int) -> bytes:
    """The file's content: the newest backup, and how many there are."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    values = [(name, text, value(backup, checks)) for name, text, value in _GAUGES]
    for name, text, found in (*values, ("count", "How many backups there are.", count)):
        if found is not None:
            gauge = Gauge(f"stockctl_backup_{name}", text, ["environment"], registry=registry)
            gauge.labels(backup.environment).set(found)
    return bytes(generate_latest(registry))
