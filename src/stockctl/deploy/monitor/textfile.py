"""Metrics for node_exporter's textfile collector, from the same pieces that `status` shows.

https://github.com/prometheus/node_exporter#textfile-collector
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stockctl.core.units import parse_instant
from stockctl.deploy.overview.gather import Overview
from stockctl.deploy.overview.part import Level


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric; every value is a gauge, since each file is a look at a moment."""

    name: str
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


HELP = {
    "stockctl_written_timestamp_seconds": "When this file was written.",
    "stockctl_piece_ok": "1: well; 0: not, or it could not be asked.",
    "stockctl_release_info": "The live release, as labels.",
    "stockctl_release_timestamp_seconds": "When the live release was deployed.",
    "stockctl_deploy_failed": "1: the newest deploy failed, was interrupted or withdrawn.",
    "stockctl_database_connections": "Connections of clients to the server.",
    "stockctl_database_max_connections": "How many there may be.",
    "stockctl_database_waiting": "Sessions that wait for a lock.",
    "stockctl_database_longest_wait_seconds": "The longest of these waits.",
    "stockctl_migrations_pending": "Migrations that are not applied.",
    "stockctl_migrations_blocking": "Migrations that are dirty, changed, missing, out of order.",
    "stockctl_backups": "Backups in the store.",
    "stockctl_backup_timestamp_seconds": "When the newest backup was made; 0: there is none.",
    "stockctl_backup_size_bytes": "Its size in the store.",
    "stockctl_backup_broken": "1: the newest backup was found broken.",
    "stockctl_backup_verified_timestamp_seconds": "When one was last decoded whole; 0: never.",
    "stockctl_backup_drilled_timestamp_seconds": "When one was last restored on trial; 0: never.",
    "stockctl_backup_restore_seconds": "How long that took.",
    "stockctl_disk_size_bytes": "Size of the disk under host.directory.",
    "stockctl_disk_free_bytes": "What of it is free.",
    "stockctl_certificate_expiry_timestamp_seconds": "When the certificate of the service ends.",
}
BAD = ("failed", "started", "withdrawn")  # how the newest release stands
_NUMBERS = {
    "database": {
        "connections": "stockctl_database_connections",
        "max_connections": "stockctl_database_max_connections",
        "waiting": "stockctl_database_waiting",
        "longest_wait_s": "stockctl_database_longest_wait_seconds",
        "pending": "stockctl_migrations_pending",
        "blocking": "stockctl_migrations_blocking",
    },
    "backups": {
        "count": "stockctl_backups",
        "size_bytes": "stockctl_backup_size_bytes",
        "restore_s": "stockctl_backup_restore_seconds",
    },
    "disk": {"total_bytes": "stockctl_disk_size_bytes", "free_bytes": "stockctl_disk_free_bytes"},
    "live": {"since": "stockctl_release_timestamp_seconds"},
}


def gauges(overview: Overview, now: datetime, certificate: datetime | None) -> tuple[Gauge, ...]:
    """What could be asked. Of a piece that could not be, only `stockctl_piece_ok` is there: an old
    value that stands still looks like a good one."""
    found = [_gauge("stockctl_written_timestamp_seconds", now.timestamp())]
    for part in overview.parts:
        if part.name != "last":
            ok = part.level in (Level.GOOD, Level.NOTICE)
            found.append(_gauge("stockctl_piece_ok", float(ok), ("piece", part.name)))
        for key, name in _NUMBERS.get(part.name, {}).items():
            if part.data.get(key) is not None:
                found.append(_gauge(name, _number(part.data[key])))
    for part in overview.parts:
        if part.name == "live" and part.level is not Level.UNKNOWN:
            found += _release(part.data)
        if part.name == "backups" and part.level is not Level.UNKNOWN:
            found += _backup(part.data)
    if certificate is not None:
        found.append(
            _gauge("stockctl_certificate_expiry_timestamp_seconds", certificate.timestamp())
        )
    return tuple(found)


def _release(data: Mapping[str, Any]) -> Iterator[Gauge]:
    """Also where nothing serves: the first deploy of all may be the one that failed."""
    if data.get("id"):
        labels = (("release", str(data["id"])), ("version", str(data["version"])))
        yield _gauge("stockctl_release_info", 1.0, *labels)
    yield _gauge("stockctl_deploy_failed", float(data.get("newest_state") in BAD))


def _backup(data: Mapping[str, Any]) -> Iterator[Gauge]:
    for key, name in (
        ("created_at", "stockctl_backup_timestamp_seconds"),
        ("last_verified_at", "stockctl_backup_verified_timestamp_seconds"),
        ("drilled_at", "stockctl_backup_drilled_timestamp_seconds"),
    ):
        yield _gauge(name, _number(data.get(key) or 0))
    yield _gauge("stockctl_backup_broken", float(bool(data.get("failed"))))


def _number(value: Any) -> float:
    if isinstance(value, str):
        return parse_instant(value).timestamp()
    return float(len(value) if isinstance(value, list) else value)


def _gauge(name: str, value: float, *labels: tuple[str, str]) -> Gauge:
    return Gauge(name, HELP[name], value, labels)


def render(found: tuple[Gauge, ...], environment: str, service: str) -> bytes:
    """As Prometheus reads it; each series says of which environment and service it is."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily

    families: dict[str, GaugeMetricFamily] = {}
    for each in found:
        names = ["environment", "service", *(name for name, _ in each.labels)]
        if each.name not in families:
            families[each.name] = GaugeMetricFamily(each.name, each.help, labels=names)
        values = [environment, service, *(value for _, value in each.labels)]
        families[each.name].add_metric(values, each.value)

    class Collector:
        """One look."""

        def collect(self) -> Iterator[GaugeMetricFamily]:
            yield from families.values()

    registry = CollectorRegistry()
    registry.register(Collector())
    return generate_latest(registry)
