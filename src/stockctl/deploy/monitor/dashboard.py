"""A dashboard for Grafana: four rows, from what users feel down to the disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stockctl.deploy.monitor.alerts import job, own, service_name
from stockctl.env.model import Environment

SCHEMA = 39  # of Grafana 11; older ones of the dashboard are migrated when they are imported
WIDTH, HEIGHT = 24, 8  # Grafana's grid
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """`series`: (expression, legend). `limit`: where the line of the alert is drawn."""

    title: str
    series: tuple[tuple[str, str], ...]
    unit: str
    kind: str = "timeseries"
    limit: float | None = None
    width: int = 8


def panels(environment: Environment) -> tuple[Panel, ...]:
    """In the order of the screen."""
    series, limits = own(environment), environment.monitor
    found: list[Panel] = [
        Panel(
            "Live release",
            ((f"stockctl_release_info{{{series}}}", "{{release}} {{version}}"),),
            "none",
            "stat",
            width=6,
        ),
        Panel(
            "Pieces", ((f"stockctl_piece_ok{{{series}}}", "{{piece}}"),), "bool", "stat", width=12
        ),
        Panel(
            "Newest backup",
            ((f"time() - stockctl_backup_timestamp_seconds{{{series}}}", "age"),),
            "s",
            "stat",
            limits.backup_age,
            6,
        ),
    ]
    if environment.service is not None and environment.service.metrics is not None:
        found += _requests(environment)
    if environment.database is not None and not environment.database.embedded:
        found += _database(environment)
    return (*found, *_host(environment))


def _requests(environment: Environment) -> list[Panel]:
    users, limits = f'job="{job(environment)}"', environment.monitor
    service = environment.service
    assert service is not None
    requests, duration = service.requests_metric, service.duration_metric
    by_status = f"sum by (status) (rate({requests}{{{users}}}[$__rate_interval]))"
    failed = f'sum(rate({requests}{{{users},status=~"5.."}}[$__rate_interval]))'
    every = f"sum(rate({requests}{{{users}}}[$__rate_interval]))"
    buckets = f"sum by (le) (rate({duration}_bucket{{{users}}}[$__rate_interval]))"
    quantiles = tuple(
        (f"histogram_quantile({q}, {buckets})", f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)
    )
    return [
        Panel("Requests", ((by_status, "{{status}}"),), "reqps"),
        Panel(
            "Errors",
            ((f"{failed} / {every}", "share"),),
            "percentunit",
            limit=limits.error_rate / 100,
        ),
        Panel("Duration", quantiles, "s", limit=limits.p95_ms / 1000),
    ]


def _database(environment: Environment) -> list[Panel]:
    series = own(environment)
    connections = f"stockctl_database_connections{{{series}}}"
    return [
        Panel(
            "Connections",
            ((connections, "taken"), (f"stockctl_database_max_connections{{{series}}}", "at most")),
            "short",
            limit=environment.monitor.connections,
        ),
        Panel(
            "Waiting for locks",
            (
                (f"stockctl_database_waiting{{{series}}}", "sessions"),
                (f"stockctl_database_longest_wait_seconds{{{series}}}", "longest, s"),
            ),
            "short",
        ),
        Panel(
            "Migrations",
            (
                (f"stockctl_migrations_pending{{{series}}}", "pending"),
                (f"stockctl_migrations_blocking{{{series}}}", "to look at"),
            ),
            "short",
        ),
    ]


def _host(environment: Environment) -> list[Panel]:
    series, limits = own(environment), environment.monitor
    here = f"and on (instance) stockctl_written_timestamp_seconds{{{series}}}"
    cpu = '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))'
    memory = "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"
    disk = f"1 - stockctl_disk_free_bytes{{{series}}} / stockctl_disk_size_bytes{{{series}}}"
    return [
        Panel("Processors", ((f"({cpu}) {here}", "busy"),), "percentunit", limit=limits.cpu / 100),
        Panel(
            "Memory", ((f"({memory}) {here}", "used"),), "percentunit", limit=limits.memory / 100
        ),
        Panel("Disk", ((disk, "used"),), "percentunit", limit=limits.disk / 100),
        Panel(
            "Backups", ((f"stockctl_backup_size_bytes{{{series}}}", "newest"),), "bytes", width=12
        ),
        Panel(
            "A restore takes",
            ((f"stockctl_backup_restore_seconds{{{series}}}", "last drill"),),
            "s",
            width=12,
        ),
    ]


def dashboard(environment: Environment) -> dict[str, Any]:
    """To be imported; it asks for the data source."""
    name = f"{service_name(environment)} {environment.name}"
    return {
        "uid": f"stockctl-{service_name(environment)}-{environment.name}"[:40],
        "title": name,
        "tags": ["stockctl"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "annotations": {"list": [_deploys(environment)]},
        "panels": _placed(panels(environment)),
    }


def _deploys(environment: Environment) -> dict[str, Any]:
    """A line wherever another release went live."""
    expr = f"changes(stockctl_release_timestamp_seconds{{{own(environment)}}}[2m]) > 0"
    look = {"enable": True, "iconColor": "blue", "expr": expr}
    return {"name": "Deploys", "datasource": SOURCE, **look}


def _placed(found: tuple[Panel, ...]) -> list[dict[str, Any]]:
    """From left to right, a new line where the next one does not fit."""
    placed, x, y = [], 0, 0
    for number, panel in enumerate(found, 1):
        if x + panel.width > WIDTH:
            x, y = 0, y + HEIGHT
        place = {"x": x, "y": y, "w": panel.width, "h": HEIGHT}
        placed.append(_panel(panel, number, place))
        x += panel.width
    return placed


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    custom: dict[str, Any] = {}
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
        custom = {"thresholdsStyle": {"mode": "line"}} if panel.kind == "timeseries" else {}
    if panel.unit == "bool":
        steps = [{"color": "red", "value": None}, {"color": "green", "value": 1}]
    defaults = {
        "unit": panel.unit,
        "custom": custom,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    targets = [
        {"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
        for i, (expr, legend) in enumerate(panel.series)
    ]
    options = {"textMode": "value_and_name"} if panel.kind == "stat" else {}
    if panel.title == "Live release":
        options = {"textMode": "name"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": targets,
    }
