"""What the replicas of the live release say of themselves, each by itself."""

from __future__ import annotations

from collections.abc import Sequence

from stockctl.core.errors import ConfigurationError
from stockctl.deploy.site import Site
from stockctl.system.container import Container
from stockctl.system.http import Request, send
from stockctl.system.service_metrics import Names, Sample, missing, parse

_HINT = "Name them in [service]: requests_metric, duration_metric. docs/watch.md#other-names"


def sample(site: Site, containers: Sequence[Container], *, timeout_s: float) -> Sample | None:
    """The sum of their metrics; None where there are none. Behind the proxy nobody knows whose
    figures come, so each is asked at its own port where it has one. Raises ConfigurationError where
    one has them under other names."""
    service = site.service
    if service.metrics is None:
        return None
    urls = [each.url for each in containers if each.url] or [service.url]
    total: Sample | None = None
    for url in urls:
        asked = Request("GET", site.reached(url.rstrip("/") + service.metrics))
        answer = send(asked, timeout_s=timeout_s)
        if answer.status == 200:
            text, names = answer.text(), Names(service.requests_metric, service.duration_metric)
            lacking = missing(text, names)
            if lacking:
                raise ConfigurationError(f"{service.metrics} has {lacking}", hint=_HINT)
            found = parse(text, names, without=(service.health, service.metrics))
            total = found if total is None else total.plus(found)
    return total
