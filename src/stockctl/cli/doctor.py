"""`stockctl doctor`."""

from __future__ import annotations

from typing import Any

from stockctl.cli.command import Group
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.errors import StockctlError, ToolFailed
from stockctl.core.report import Check, Report

app = Group()


@verb(app, "doctor", example="stockctl doctor staging", exits=(2, 3, 6))
def doctor(session: Session, name: str) -> Result:
    """Looks whether this machine has what the environment needs, and says what to do where not."""
    from stockctl.deploy.doctor import examine

    opened = open_environment(session, name)
    with opened.site(looking=True) as site:
        report = examine(site, opened.store, embedded_check(opened))
    return show_report(session, report)


def show_report(session: Session, report: Report) -> Result:
    """Each check in a line, with what to do where it did not pass."""
    for check in report.checks:
        mark, style = ("✓", "green") if check.ok else ("✗", "red")
        detail = check.detail.replace("\n", "\n" + " " * 18)
        session.output.line(f"{mark} {check.name:<16}{detail}", style=style)
        if check.fix and not check.ok:
            session.output.line(f"  → {check.fix}", style="cyan")
    checks = [_data(check) for check in report.checks]
    return Result({"checks": checks}, exit_code=0 if report.ok else ToolFailed.exit_code)


def embedded_check(opened: Opened) -> Check | None:
    """The embedded server is tried by starting it."""
    settings = opened.environment.database
    if settings is None or not settings.embedded:
        return None
    try:
        with opened.database() as database, database.connect() as connection:
            major = connection.info.server_version // 10000
            return Check("database", True, f"embedded Postgres {major}")
    except StockctlError as error:
        return Check("database", False, str(error), error.hint)


def _data(check: Check) -> dict[str, Any]:
    return {"name": check.name, "ok": check.ok, "detail": check.detail, "fix": check.fix}
