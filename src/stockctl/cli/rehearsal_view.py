"""How a rehearsal is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stockctl.cli.session import Session
from stockctl.core.report import Severity
from stockctl.core.units import format_duration

if TYPE_CHECKING:
    from stockctl.core.report import Report
    from stockctl.deploy.rehearsal.report import Contract, Rehearsal, Rehearsed


def show(session: Session, found: Rehearsal) -> None:
    """In the order in which it was played; what the deploy will take comes last."""
    line = session.output.line
    line(f"services   {', '.join(found.services)}")
    if found.restore_s is not None:
        line(f"restore    {format_duration(found.restore_s)}, of backup {found.backup}")
        if not found.migrations:
            line("migrate    nothing is pending")
    for each in found.migrations:
        _migration(session, "migrate", each)
    _release(session, found)
    line(f"way back   {found.way_back}")
    if found.contract is not None:
        _contract(session, found.contract)
    for word in found.left_out:
        line(f"left out   {word}", style="yellow")
    spent = ", ".join(f"{name} {format_duration(s)}" for name, s in found.spent_s.items())
    line(f"rehearsed  in {format_duration(sum(found.spent_s.values()))}: {spent}")
    if found.forecast_s is None:
        line("this release is not ready: do not deploy it", style="bold red")
    else:
        took = format_duration(found.forecast_s)
        parts = ", ".join(f"{name} {format_duration(s)}" for name, s in found.forecast.items())
        line(f"forecast   {parts}")
        line(f"the deploy will take about {took}, without building the image", style="green")


def _release(session: Session, found: Rehearsal) -> None:
    line = session.output.line
    if found.command_failed:
        line(f"release    ✗ {found.command_failed}", style="red")
    elif found.command_s is not None:
        line(f"release    command ended well after {format_duration(found.command_s)}")
    if found.unwell:
        line(f"start      ✗ {found.unwell}", style="red")
    elif found.start_s is not None:
        line(f"start      healthy after {format_duration(found.start_s)}")
    if found.smoke is not None:
        _smoke(session, "smoke", found.smoke)


def _contract(session: Session, found: Contract) -> None:
    line = session.output.line
    line("           later, by `deploy contract`, and no part of this deploy:")
    for each in found.migrations:
        _migration(session, "contract", each)
    if found.failed:
        line(f"contract   ✗ {found.failed}", style="red")
    closed = ", ".join(found.closes) or "no release that is kept"
    line(f"closes     the way back to {closed}")
    if found.smoke is not None:
        _smoke(session, "smoke", found.smoke)
    if not found.ok:
        said = "`deploy contract` is not ready; the deploy does not wait for it"
        line(f"           ! {said}", style="yellow")


def _smoke(session: Session, name: str, report: Report) -> None:
    line = session.output.line
    good = sum(check.ok for check in report.checks)
    line(f"{name:<11}{good} of {len(report.checks)} passed")
    for check in report.failed:
        line(f"           ✗ {check.name}: {check.detail}", style="red")


def _migration(session: Session, name: str, each: Rehearsed) -> None:
    from stockctl.db.proof.rules import RULES

    line = session.output.line
    if each.failed:
        line(f"{name:<11}✗ {each.id}  {each.failed}", style="red")
        return
    took = format_duration(each.up_s or 0.0)
    locks = "no lock to the end" if each.locks is None else ", ".join(map(str, each.locks))
    mark = "✓" if each.ok else "✗"
    line(f"{name:<11}{mark} {each.id}  {took}  {locks or 'no lock on a table that was there'}")
    for lock in each.blocking:
        line(f"           ! {lock.table} is locked for up to {took}: others wait", style="yellow")
    for problem in each.problems:
        wrong = RULES[problem.code].severity is Severity.ERROR
        mark, style = ("✗", "red") if wrong else ("!", "yellow")
        line(f"           {mark} {problem.code} {problem.message}", style=style)
