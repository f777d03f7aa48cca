"""When somebody is woken, from the environment's own thresholds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stockctl.core.units import format_duration
from stockctl.env.model import Environment

STALE_S = 900  # the file of `monitor textfile` is written by cron, every few minutes
QUIET = 10  # requests in five minutes: of fewer nobody can say anything


@dataclass(frozen=True, slots=True)
class Alert:
    """`command` is what to type when it fires."""

    name: str
    expr: str
    sustained_s: float
    severity: str
    summary: str
    command: str


def alerts(environment: Environment) -> tuple[Alert, ...]:
    """Those that make sense here: no database, no alert about its connections."""
    found = [*_host(environment), *_backups(environment)]
    if environment.service is not None:
        found = [*_service(environment), *_deploys(environment), *found]
    if environment.database is not None and not environment.database.embedded:
        found += _database(environment)
    return tuple(found)


def job(environment: Environment) -> str:
    """Under which `job` Prometheus scrapes the service."""
    return environment.monitor.job or environment.project


def own(environment: Environment) -> str:
    """What selects the series of `monitor textfile`."""
    return f'environment="{environment.name}",service="{service_name(environment)}"'


def _plain(*routes: str) -> str:
    """A pattern for just these, within a string of PromQL."""
    return "|".join(re.escape(route) for route in routes).replace("\\", "\\\\")


def service_name(environment: Environment) -> str:
    return environment.service.name if environment.service else environment.name


def _service(environment: Environment) -> list[Alert]:
    service, name = environment.service, environment.name
    assert service is not None
    ok = f'stockctl_piece_ok{{{own(environment)},piece="health"}}'
    found = [
        Alert(
            "Unhealthy",
            f"{ok} == 0",
            60,
            "page",
            "does not pass its health check",
            f"status {name}",
        )
    ]
    if service.metrics is None:
        return found
    return [*found, *_requests(environment, _plain(service.health, service.metrics))]


def _requests(environment: Environment, others: str) -> list[Alert]:
    """`others` is a pattern for the routes that are not its users'."""
    limits, name = environment.monitor, environment.name
    users = f'job="{job(environment)}",route!~"{others}"'
    service = environment.service
    assert service is not None
    requests, duration = service.requests_metric, service.duration_metric
    every = f"sum(increase({requests}{{{users}}}[5m]))"
    failed = f'sum(increase({requests}{{{users},status=~"5.."}}[5m]))'
    buckets = f"sum by (le) (rate({duration}_bucket{{{users}}}[5m]))"
    p95 = f"histogram_quantile(0.95, {buckets})"
    return [
        Alert(
            "ErrorRate",
            f"{failed} / {every} > {limits.error_rate / 100:g} and {every} >= {QUIET}",
            limits.sustained,
            "page",
            f"answers more than {limits.error_rate} % of its requests with an error",
            f"deploy rollback {name}",
        ),
        Alert(
            "Slow",
            f"{p95} > {limits.p95_ms / 1000:g} and {every} >= {QUIET}",
            limits.sustained,
            "page",
            f"takes longer than {limits.p95_ms} ms for 5 of 100 requests",
            f"db inspect {name} --slow",
        ),
        Alert(
            "MetricsMissing",
            f'absent({requests}{{job="{job(environment)}"}})',
            limits.sustained,
            "ticket",
            "has no metrics: nobody would see that it fails",
            f"smoke {name}",
        ),
    ]


def _deploys(environment: Environment) -> list[Alert]:
    series, name = own(environment), environment.name
    found = [
        Alert(
            "DeployFailed",
            f"stockctl_deploy_failed{{{series}}} == 1",
            0,
            "ticket",
            "has a newest deploy that failed, was interrupted or was withdrawn",
            f"deploy history {name}",
        )
    ]
    if environment.service and environment.service.url.startswith("https://"):
        left = f"stockctl_certificate_expiry_timestamp_seconds{{{series}}} - time()"
        limit = environment.monitor.certificate
        said = f"has a certificate that ends within {format_duration(limit)}"
        found.append(
            Alert("Certificate", f"{left} < {limit:.0f}", 0, "ticket", said, f"smoke {name}")
        )
    return found


def _backups(environment: Environment) -> list[Alert]:
    series, limits, name = own(environment), environment.monitor, environment.name
    ages = [
        (
            "BackupOld",
            "stockctl_backup_timestamp_seconds",
            limits.backup_age,
            "no backup younger than",
            "create",
        ),
        (
            "BackupUnverified",
            "stockctl_backup_verified_timestamp_seconds",
            limits.verify_age,
            "no backup that was found whole within",
            "verify",
        ),
    ]
    if limits.drill_age is not None:
        ages.append(
            (
                "BackupUndrilled",
                "stockctl_backup_drilled_timestamp_seconds",
                limits.drill_age,
                "no backup that was restored on trial within",
                "list",
            )
        )
    found = [
        Alert(
            alert,
            f"time() - {metric}{{{series}}} > {limit:.0f}",
            0,
            "page" if alert == "BackupOld" else "ticket",
            f"has {said} {format_duration(limit)}",
            f"backup {verb} {name}",
        )
        for alert, metric, limit, said, verb in ages
    ]
    broken = f"stockctl_backup_broken{{{series}}} == 1"
    said = "has a newest backup that is broken"
    return [*found, Alert("BackupBroken", broken, 0, "page", said, f"backup create {name}")]


def _database(environment: Environment) -> list[Alert]:
    series, limits, name = own(environment), environment.monitor, environment.name
    return [
        Alert(
            "DatabaseDown",
            f'stockctl_piece_ok{{{series},piece="database"}} == 0',
            60,
            "page",
            "has a database that does not answer, or needs somebody",
            f"status {name}",
        ),
        Alert(
            "Connections",
            f"stockctl_database_connections{{{series}}} > {limits.connections}",
            limits.sustained,
            "ticket",
            f"has more than {limits.connections} connections to its database",
            f"db inspect {name} --connections",
        ),
        Alert(
            "LockWait",
            f"stockctl_database_longest_wait_seconds{{{series}}} > 30",
            60,
            "page",
            "has somebody waiting for a lock for more than 30 s",
            f"db inspect {name} --locks",
        ),
        Alert(
            "MigrationsPending",
            f"stockctl_migrations_pending{{{series}}} > 0",
            86400,
            "ticket",
            "has migrations pending for a day",
            f"db status {name}",
        ),
        Alert(
            "MigrationsBlocked",
            f"stockctl_migrations_blocking{{{series}}} > 0",
            0,
            "ticket",
            "has migrations that are dirty, changed, missing or out of order",
            f"db status {name}",
        ),
    ]


def _host(environment: Environment) -> list[Alert]:
    """Processors and memory are those that node_exporter sees on the machine of the textfile."""
    series, limits, name = own(environment), environment.monitor, environment.name
    here = f"and on (instance) stockctl_written_timestamp_seconds{{{series}}}"
    size, free = (f"stockctl_disk_{what}_bytes{{{series}}}" for what in ("size", "free"))
    cpu = '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))'
    memory = "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)"
    disk = f"100 * (1 - {free} / {size})"
    stale = f"time() - stockctl_written_timestamp_seconds{{{series}}} > {STALE_S}"
    gone = f"absent(stockctl_written_timestamp_seconds{{{series}}})"
    status = f"status {name}"
    return [
        Alert(
            "Cpu",
            f"{cpu} > {limits.cpu} {here}",
            limits.sustained,
            "ticket",
            f"runs on a host whose processors are more than {limits.cpu} % busy",
            status,
        ),
        Alert(
            "Memory",
            f"{memory} > {limits.memory} {here}",
            limits.sustained,
            "ticket",
            f"runs on a host whose memory is more than {limits.memory} % full",
            status,
        ),
        Alert(
            "Disk",
            f"{disk} > {limits.disk}",
            limits.sustained,
            "ticket",
            f"has a disk that is more than {limits.disk} % full",
            f"backup prune {name} --plan",
        ),
        Alert(
            "NotWatched",
            f"{stale} or {gone}",
            60,
            "page",
            "is not watched: `stockctl monitor textfile` does not run",
            f"monitor textfile {name}",
        ),
    ]
