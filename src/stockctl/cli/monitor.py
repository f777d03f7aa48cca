"""`stockctl monitor`: export · textfile."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from stockctl.cli.session import Result, Session
from stockctl.cli.verb import group, verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import HostFailed
from stockctl.env.needs import RECORDS

READABLE = 0o644  # by node_exporter, which is another user; nothing in it is secret
CERTIFICATE_S = 5.0
HTTPS = 443

app = group("What Prometheus and Grafana are told.")


@verb(
    app,
    "export",
    example="stockctl monitor export prod --to /etc/prometheus/stockctl",
    exits=(2, 3, 6),
)
def export(
    session: Session,
    name: str,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Where the files are written.")],
) -> Result:
    """Writes alert rules for Prometheus and a dashboard for Grafana, made for this environment.

    Thresholds come from [monitor]. Files of the same name are replaced. docs/monitoring.md
    """
    from stockctl.deploy.monitor.export import files

    opened = open_environment(session, name)
    written = []
    for file, content in files(opened.environment).items():
        _write(to / file, content)
        session.output.line(str(to / file))
        written.append(str(to / file))
    return Result({"files": written})


@verb(
    app,
    "textfile",
    example="stockctl -q monitor textfile prod --to /var/lib/node_exporter/stockctl-prod.prom",
    exits=(2, 3, 6),
)
def textfile(
    session: Session,
    name: str,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Replaced in one piece.")],
) -> Result:
    """Writes how the environment stands as metrics for node_exporter: made for cron.

    The pieces are those of `stockctl status`; one that cannot be asked is 0 and stops nothing.
    """
    from stockctl.deploy.monitor.alerts import service_name
    from stockctl.deploy.monitor.textfile import gauges, render
    from stockctl.deploy.overview.gather import gather
    from stockctl.deploy.overview.questions import Memory, questions

    opened = open_environment(session, name, needs=RECORDS)
    with opened.site(looking=True) as site:
        overview = gather(questions(site, opened.store, Memory(), session.clock), name)
    service = opened.environment.service
    ends = _certificate(service.url) if service else None
    found = gauges(overview, session.clock.now(), ends)
    _write(to, render(found, name, service_name(opened.environment)))
    if not session.quiet:  # a cron job that went well says nothing
        session.output.line(f"{to}: {len(found)} metrics")
    return Result({"file": str(to), "metrics": len(found)})


def _certificate(url: str) -> datetime | None:
    """When it ends; None where there is none, or nobody shows one."""
    from stockctl.system.tls import certificate_expires

    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    with suppress(OSError):
        return certificate_expires(parts.hostname, parts.port or HTTPS, timeout_s=CERTIFICATE_S)
    return None


def _write(file: Path, content: bytes) -> None:
    """In one piece: whoever reads sees the old file or the new. Raises HostFailed."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            Path(beside).chmod(READABLE)
            Path(beside).replace(file)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise HostFailed(f"cannot write {file}: {error.strerror}") from error
