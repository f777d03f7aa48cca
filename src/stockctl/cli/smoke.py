"""`stockctl smoke`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from stockctl.cli.command import Group
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.errors import ConfigurationError, Unhealthy
from stockctl.core.report import Check

app = Group()


@verb(app, "smoke", example="stockctl smoke staging", exits=(2, 3, 9))
def smoke(
    session: Session,
    name: str,
    url: Annotated[
        str | None, typer.Option("--url", help="Ask this instead of service.url.")
    ] = None,
) -> Result:
    """Sends the declared checks to the running service and says what did not come back."""
    from stockctl.smoke.run import smoke

    opened = open_environment(session, name)
    service = opened.environment.service
    target = url or (service.url if service else None)
    if target is None:
        raise ConfigurationError(f"{name} has no service.url", hint="Give --url.")
    report = smoke(opened.environment.smoke, target, session.progress())
    checks = [_data(check) for check in report.checks]
    if not report.ok:
        failed = len(report.failed)
        session.output.line(f"{failed} of {len(checks)} checks failed", style="red")
        return Result({"checks": checks}, exit_code=Unhealthy.exit_code)
    session.output.line(f"{len(checks)} checks passed", style="green")
    return Result({"checks": checks})


def _data(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "ok": check.ok,
        "status": check.status,
        "duration_s": round(check.duration_s, 3),
        "detail": check.detail,
    }
