"""The files of `monitor export`, as values."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from stockctl.deploy.monitor.alerts import job, service_name
from stockctl.deploy.monitor.dashboard import dashboard
from stockctl.deploy.monitor.rules import rules
from stockctl.env.model import Environment

_HEAD = "# Written by `stockctl monitor export {name}`; change [monitor] and write it again.\n"


def files(environment: Environment) -> dict[str, bytes]:
    """Name → content: alert rules, a dashboard, and how to scrape the service where it can be."""
    stem = f"{service_name(environment)}-{environment.name}"
    found = {
        f"{stem}.rules.yaml": _yaml(environment, rules(environment)),
        f"{stem}.dashboard.json": json.dumps(dashboard(environment), indent=1).encode() + b"\n",
    }
    if environment.service is not None and environment.service.metrics is not None:
        found[f"{stem}.scrape.yaml"] = _yaml(environment, _scrape(environment))
    return found


def _scrape(environment: Environment) -> dict[str, Any]:
    """For `scrape_config_files`, which Prometheus has since 2.43."""
    service = environment.service
    assert service is not None
    parts = urlsplit(service.url)
    return {
        "scrape_configs": [
            {
                "job_name": job(environment),
                "scheme": parts.scheme,
                "metrics_path": service.metrics,
                "static_configs": [{"targets": [parts.netloc]}],
            }
        ]
    }


def _yaml(environment: Environment, document: dict[str, Any]) -> bytes:
    import yaml

    text = yaml.safe_dump(document, sort_keys=False, width=10_000, allow_unicode=True)
    return (_HEAD.format(name=environment.name) + text).encode()
