"""What is exported is read and tried by Prometheus' own promtool."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from stockctl.deploy.monitor.alerts import alerts
from stockctl.deploy.monitor.dashboard import HEIGHT, WIDTH, dashboard
from stockctl.deploy.monitor.rules import rules
from stockctl.deploy.monitor.textfile import HELP, gauges
from stockctl.deploy.overview.gather import Overview
from stockctl.deploy.overview.part import Level, Part
from stockctl.env.model import Environment

LIVE = {"id": "r0001", "version": "v1"}
PROGRAM = str(Path(sys.executable).with_name("stockctl"))
DAY = 86400


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        assert not os.environ.get("CI"), "promtool is not on PATH"
        pytest.skip("promtool is not on PATH: tests/testbed/prometheus.sh")
    return found


def environment(**more: Any) -> Environment:
    service = {
        "name": "shop",
        "compose": ["/nowhere/compose.yaml"],
        "release": ["app"],
        "web": "app",
        "port": 80,
        "image": "shop",
        "url": "https://shop.example.com",
        "metrics": "/metrics",
    }
    document = {
        "name": "prod",
        "service": service,
        "host": {"directory": "/nowhere"},
        "database": {"url": "postgresql://a:b@h/d"},
        "backup": {"store": "/nowhere"},
        "monitor": {"drill_age": "35d"},
    }
    return Environment.model_validate(document | more)


def check(promtool: str, folder: Path, document: object) -> str:
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"service": None},
        {"database": None},
        {"database": {"embedded": True}, "service": None},
        {"monitor": {"job": 'a"b\\'}},
    ],
)
def test_promtool_reads_the_rules(promtool: str, tmp_path: Path, more: dict[str, Any]) -> None:
    if more.get("monitor"):
        more = {"monitor": {"job": "other-job", "error_rate": 5}}
    made = environment(**more)
    assert f"{len(alerts(made))} rules found" in check(promtool, tmp_path, rules(made))


def test_promtool_reads_every_expression_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    board = dashboard(environment())
    exprs = [t["expr"] for panel in board["panels"] for t in panel["targets"]]
    exprs.append(board["annotations"]["list"][0]["expr"])
    records = [
        {"record": f"r{n}", "expr": expr.replace("$__rate_interval", "5m")}
        for n, expr in enumerate(exprs)
    ]
    check(promtool, tmp_path, {"groups": [{"name": "g", "rules": records}]})


def test_only_metrics_that_somebody_writes_are_asked_for() -> None:
    text = json.dumps([rules(environment()), dashboard(environment())])
    assert set(re.findall(r"\bstockctl_[a-z_]+", text)) <= set(HELP)


def test_no_panel_lies_on_another() -> None:
    panels = dashboard(environment())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= WIDTH
        cells = {(x, at["y"]) for x in range(at["x"], at["x"] + at["w"])}
        assert at["h"] == HEIGHT
        assert not cells & taken
        taken |= cells


OWN = 'environment="prod",service="shop"'
NODE = 'instance="host:9100"'


def own(name: str, values: str, more: str = "") -> dict[str, str]:
    return {"series": f"{name}{{{NODE},{OWN}{more}}}", "values": values}


def requests(status: int, per_minute: float, route: str = "/a") -> dict[str, str]:
    labels = f'job="shop-prod",route="{route}",status="{status}"'
    return {"series": f"http_requests_total{{{labels}}}", "values": f"0+{per_minute}x300"}


def bucket(le: str, per_minute: float) -> dict[str, str]:
    labels = f'job="shop-prod",route="/a",le="{le}"'
    series = f"http_request_duration_seconds_bucket{{{labels}}}"
    return {"series": series, "values": f"0+{per_minute}x300"}


def idle(seconds_a_minute: float) -> dict[str, str]:
    series = f'node_cpu_seconds_total{{{NODE},cpu="0",mode="idle"}}'
    return {"series": series, "values": f"0+{seconds_a_minute}x300"}


def memory(available: int) -> list[dict[str, str]]:
    return [
        {"series": f"node_memory_MemTotal_bytes{{{NODE}}}", "values": "100x300"},
        {"series": f"node_memory_MemAvailable_bytes{{{NODE}}}", "values": f"{available}x300"},
    ]


WRITTEN = own("stockctl_written_timestamp_seconds", "0+60x300")
DISK = own("stockctl_disk_size_bytes", "100x300")
OK = "stockctl_piece_ok"
# name: (after which it fires, before which it does not; what it must see, or must not)
CASES: dict[str, tuple[list[dict[str, str]], list[dict[str, str]]]] = {
    "Unhealthy": (
        [own(OK, "0x300", ',piece="health"')],
        [own(OK, "1x300", ',piece="health"'), own(OK, "0x300", ',piece="database"')],
    ),
    "ErrorRate": (
        [requests(200, 97), requests(500, 3)],
        [requests(200, 98.5), requests(503, 1.5), requests(500, 50, "/health")],
    ),
    "Slow": (
        [requests(200, 60), bucket("1", 56), bucket("2", 60), bucket("+Inf", 60)],
        [requests(200, 60), bucket("1", 58), bucket("2", 60), bucket("+Inf", 60)],
    ),
    "MetricsMissing": ([WRITTEN], [requests(200, 1)]),
    "DeployFailed": (
        [own("stockctl_deploy_failed", "1x300")],
        [own("stockctl_deploy_failed", "0x300")],
    ),
    "Certificate": (
        [own("stockctl_certificate_expiry_timestamp_seconds", f"{13 * DAY}x300")],
        [own("stockctl_certificate_expiry_timestamp_seconds", f"{15 * DAY}x300")],
    ),
    "BackupOld": (
        [own("stockctl_backup_timestamp_seconds", f"{-26 * 3600}x300")],
        [own("stockctl_backup_timestamp_seconds", f"{-20 * 3600}x300")],
    ),
    "BackupUnverified": (
        [own("stockctl_backup_verified_timestamp_seconds", f"{-8 * DAY}x300")],
        [own("stockctl_backup_verified_timestamp_seconds", f"{-7 * DAY}x300")],
    ),
    "BackupUndrilled": (
        [own("stockctl_backup_drilled_timestamp_seconds", f"{-35 * DAY}x300")],
        [own("stockctl_backup_drilled_timestamp_seconds", f"{-34 * DAY}x300")],
    ),
    "BackupBroken": (
        [own("stockctl_backup_broken", "1x300")],
        [own("stockctl_backup_broken", "0x300")],
    ),
    "DatabaseDown": (
        [own(OK, "0x300", ',piece="database"')],
        [own(OK, "1x300", ',piece="database"')],
    ),
    "Connections": (
        [own("stockctl_database_connections", "51x300")],
        [own("stockctl_database_connections", "50x300")],
    ),
    "LockWait": (
        [own("stockctl_database_longest_wait_seconds", "31x300")],
        [own("stockctl_database_longest_wait_seconds", "30 31 0x298")],
    ),
    "MigrationsPending": (
        [own("stockctl_migrations_pending", "1x60")],
        [own("stockctl_migrations_pending", "1x10 0x50")],
    ),
    "MigrationsBlocked": (
        [own("stockctl_migrations_blocking", "1x300")],
        [own("stockctl_migrations_blocking", "0x300")],
    ),
    "Cpu": ([WRITTEN, idle(11)], [WRITTEN, idle(13)]),
    "Memory": ([WRITTEN, *memory(9)], [WRITTEN, *memory(11)]),
    "Disk": (
        [DISK, own("stockctl_disk_free_bytes", "19x300")],
        [DISK, own("stockctl_disk_free_bytes", "21x300")],
    ),
    "NotWatched": ([own("stockctl_written_timestamp_seconds", "0x300")], [WRITTEN]),
}


def tried(promtool: str, folder: Path, document: dict[str, Any], tests: object, every: str) -> None:
    (folder / "rules.yaml").write_text(yaml.safe_dump(document))
    (folder / "tests.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": every, "tests": tests})
    )
    argv = [promtool, "test", "rules", "tests.yaml"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("slow", [False, True])
def test_each_alert_fires_when_it_must_and_only_then(
    promtool: str, tmp_path: Path, slow: bool
) -> None:
    """Those that take a day are looked at twice an hour."""
    made = environment()
    assert set(CASES) == {alert.name for alert in alerts(made)}
    document, every = rules(made), "30m" if slow else "1m"
    group = document["groups"][0]
    group["rules"] = [r for r in group["rules"] if (r.get("for") == "1d") == slow]
    tests = []
    for rule in group["rules"]:
        fires, silent = CASES[rule["alert"].removeprefix("Shop")]
        for series, firing in ((fires, True), (silent, False)):
            tests.append(_case(rule, series, firing=firing, every=every))
    tried(promtool, tmp_path, document, tests, every)


def _case(
    rule: dict[str, Any], series: list[dict[str, str]], *, firing: bool, every: str = "1m"
) -> dict[str, Any]:
    """Labels of the series stay on the alert, but for those that a sum takes away."""
    name = rule["alert"]
    labels = dict(rule["labels"])
    kept = re.findall(r'([a-z]+)="([^"]*)"', series[0]["series"])
    short = name.removeprefix("Shop")
    if short in ("Cpu", "Memory"):
        labels["instance"] = "host:9100"
    elif short not in ("ErrorRate", "Slow", "MetricsMissing"):
        labels = dict(kept) | labels
    elif short == "MetricsMissing":
        labels["job"] = "shop-prod"
    expected = {"exp_labels": labels, "exp_annotations": rule["annotations"]}
    at = "20m" if every == "1m" else "25h"
    return {
        "name": f"{name} {firing}",
        "interval": every,
        "input_series": series,
        "alert_rule_test": [
            {"eval_time": at, "alertname": name, "exp_alerts": [expected] if firing else []}
        ],
    }


DEPLOYS: dict[str, tuple[dict[str, Any], bool]] = {
    "nothing was deployed": ({"id": None}, False),
    "the newest serves": (LIVE, False),
    "rolled back": ({**LIVE, "newest_state": "finished"}, False),
    "at work": ({**LIVE, "newest_state": "deploying"}, False),
    "failed": ({**LIVE, "newest_state": "failed"}, True),
    "withdrawn": ({**LIVE, "newest_state": "withdrawn"}, True),
    "the first failed": ({"id": None, "newest_state": "failed"}, True),
}


def test_which_deploys_wake_somebody(promtool: str, tmp_path: Path) -> None:
    """From what `status` says to the alert."""
    document = rules(environment())
    rule = next(r for r in document["groups"][0]["rules"] if r["alert"] == "ShopDeployFailed")
    tests = []
    for name, (data, firing) in DEPLOYS.items():
        part = Part("live", Level.NOTICE, (), data)
        found = gauges(Overview((part,), ()), datetime.now(UTC), None)
        values = [each.value for each in found if each.name == "stockctl_deploy_failed"]
        assert len(values) == 1, name
        tests.append(_case(rule, [own("stockctl_deploy_failed", f"{values[0]}x60")], firing=firing))
    tried(promtool, tmp_path, document, tests, "1m")


OTHER = {"requests_metric": "api_calls_total", "duration_metric": "api_seconds"}
RENAMED = {"http_requests_total": "api_calls_total", "http_request_duration_seconds": "api_seconds"}


def test_alerts_and_dashboard_look_where_the_metrics_are(promtool: str, tmp_path: Path) -> None:
    service = environment().service
    assert service is not None
    made = environment(service={**service.model_dump(), **OTHER})
    document = rules(made)
    assert not re.search("|".join(RENAMED), json.dumps([document, dashboard(made)]))
    tests = []
    for rule in document["groups"][0]["rules"]:
        name = rule["alert"].removeprefix("Shop")
        if name in ("ErrorRate", "Slow", "MetricsMissing"):
            for case, firing in zip(CASES[name], (True, False), strict=True):
                text = json.dumps(case)
                for usual, other in RENAMED.items():
                    text = text.replace(usual, other)
                tests.append(_case(rule, json.loads(text), firing=firing))
    tried(promtool, tmp_path, document, tests, "1m")


def test_too_few_requests_wake_nobody(promtool: str, tmp_path: Path) -> None:
    document = rules(environment())
    rule = next(r for r in document["groups"][0]["rules"] if r["alert"] == "ShopErrorRate")
    test = _case(rule, [requests(500, 1)], firing=False)
    tried(promtool, tmp_path, document, [test], "1m")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "local.toml").write_text("[database]\nembedded = true\n[monitor]\ndisk = 75\n")
    return tmp_path


def stockctl(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "monitor", *arguments], cwd=project, capture_output=True, text=True, check=False
    )


def test_the_program_writes_files_that_promtool_takes(project: Path, promtool: str) -> None:
    done = stockctl(project, "export", "local", "--to", "out", "--json")
    assert done.returncode == 0, done.stderr
    names = {Path(file).name for file in json.loads(done.stdout)["data"]["files"]}
    assert names == {"local-local.rules.yaml", "local-local.dashboard.json"}
    assert "> 75" in (project / "out" / "local-local.rules.yaml").read_text()
    file = project / "out" / "local.prom"
    assert stockctl(project, "textfile", "local", "--to", str(file)).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o644
    argv = [promtool, "check", "metrics"]
    checked = subprocess.run(argv, input=file.read_bytes(), capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout
    text = file.read_text()
    assert 'stockctl_piece_ok{environment="local",piece="backups",service="local"} 0.0' in text
    assert sorted(p.name for p in (project / "out").iterdir())[0] != ".local.prom"


def test_a_file_that_cannot_be_written_is_said(project: Path) -> None:
    done = stockctl(project, "textfile", "local", "--to", "/proc/nowhere/x.prom")
    assert done.returncode == 6
    assert "cannot write /proc/nowhere/x.prom" in done.stderr
