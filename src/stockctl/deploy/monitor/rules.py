"""Alerts as a rule file of Prometheus."""

from __future__ import annotations

from typing import Any

from stockctl.core.units import write_duration
from stockctl.deploy.monitor.alerts import Alert, alerts, service_name
from stockctl.env.model import Environment


def rules(environment: Environment) -> dict[str, Any]:
    """A rule file. Names begin with the service's: two of them may share one Prometheus."""
    title = "".join(
        part.capitalize() for part in service_name(environment).replace("_", "-").split("-")
    )
    return {
        "groups": [
            {
                "name": f"stockctl-{service_name(environment)}-{environment.name}",
                "rules": [_rule(each, environment, title) for each in alerts(environment)],
            }
        ]
    }


def _rule(alert: Alert, environment: Environment, title: str) -> dict[str, Any]:
    labels = {
        "severity": alert.severity,
        "environment": environment.name,
        "service": service_name(environment),
    }
    summary = f"{service_name(environment)} on {environment.name} {alert.summary}"
    return {
        "alert": f"{title}{alert.name}",
        "expr": alert.expr,
        **({"for": write_duration(alert.sustained_s)} if alert.sustained_s else {}),
        "labels": labels,
        "annotations": {"summary": summary, "command": f"stockctl {alert.command}"},
    }
