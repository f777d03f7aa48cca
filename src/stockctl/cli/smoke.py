"""`stockctl smoke`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.command import Group
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import Opened, open_environment
from stockctl.core.errors import ConfigurationError, HostFailed, Unhealthy, UsageError
from stockctl.core.progress import Event, Progress, Reporter, Step, StepEnded
from stockctl.core.units import format_duration

if TYPE_CHECKING:
    from stockctl.smoke.report import Outcome

app = Group()
_NAME_WIDTH = 32  # columns; a longer name moves what follows


@verb(
    app,
    "smoke",
    example="stockctl smoke staging\nstockctl smoke prod --suite quick --junit smoke.xml"
    "\nstockctl smoke staging --url http://127.0.0.1:49153",
    exits=(2, 3, 6, 9),
)
def smoke(
    session: Session,
    name: str,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="Only the checks of this suite.")
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="Only checks with this tag; may be repeated."),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Ask this instead of service.url.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Also write JUnit XML there.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Checks that are not critical fail it, too.")
    ] = False,
) -> Result:
    """Sends the declared checks to the running service and says what did not come back.

    A check that waits for what another one captures is sent after it, all others at once. Of an
    https URL the certificate and the redirect from http are looked at as well. docs/smoke.md
    """
    if url is not None and not url.startswith(("http://", "https://")):
        raise UsageError("--url: expected a URL that begins with http:// or https://")
    opened = open_environment(session, name)
    outcomes = _run(opened, suite, tags or [], url)
    if junit is not None:
        _write_junit(session, junit, name, outcomes)
    _show(session, outcomes, strict)
    ok = _passed(outcomes, strict)
    if not (suite or tags or url):
        _keep(opened, outcomes)
    data = {"checks": [_data(each) for each in outcomes], "url": _target(opened, url)}
    return Result(data, exit_code=0 if ok else Unhealthy.exit_code)


def _keep(opened: Opened, outcomes: tuple[Outcome, ...]) -> None:
    """For the gate `smoke`: all the checks, of what is live. What cannot be kept stops nothing."""
    from stockctl.deploy.evidence import SMOKE_FAILED, Evidence, EvidenceBook
    from stockctl.deploy.release import Releases
    from stockctl.smoke.report import report
    from stockctl.system.journal_file import operator

    found = report(outcomes)
    said = ", ".join(check.name for check in found.failed)
    try:
        live = Releases(opened.host, opened.directory).live()
        if live is not None:
            now = opened.clock.now()
            evidence = Evidence("smoke", now, found.ok, operator(), live.image_id, said)
            book = EvidenceBook(opened.host, opened.directory)
            book.put(evidence)
            if not found.ok:  # outlasts the next one that passes
                book.put(replace(evidence, kind=SMOKE_FAILED))
    except HostFailed as error:
        opened.session.progress().warn(f"the result is not kept for the gates: {error}")


def _target(opened: Opened, url: str | None) -> str:
    service = opened.environment.service
    target = url or (service.url if service else None)
    if target is None:
        name = opened.environment.name
        raise ConfigurationError(f"{name} has no service.url", hint="Give --url.")
    return target


def _run(
    opened: Opened, suite: str | None, tags: list[str], url: str | None
) -> tuple[Outcome, ...]:
    from stockctl.deploy.site import reached
    from stockctl.smoke.report import report
    from stockctl.smoke.run import run
    from stockctl.smoke.suite import select
    from stockctl.smoke.tls import tls_outcomes

    declared, target = opened.environment.smoke, _target(opened, url)
    target = reached(opened.host, target) if url is None else target
    chosen = select(declared, suite, tags)
    if declared and not chosen:
        suites = ", ".join(dict.fromkeys(check.suite for check in declared))
        known = ", ".join(dict.fromkeys(tag for check in declared for tag in check.tags))
        raise UsageError(
            "no check is in that suite with one of these tags",
            hint=f"Suites: {suites}. Tags: {known or 'none'}.",
        )
    clock = opened.session.clock
    with opened.session.progress().step(f"smoke {target}") as step:
        found = run(chosen, target, Progress(_heard(step), clock))
        found = (*found, *tls_outcomes(target, clock.now()))
        step.ok = report(found).ok
    return found


def _heard(step: Step) -> Reporter:
    """What is over is named beside the spinner; the list comes at the end, in its order."""

    def hear(event: Event) -> None:
        if isinstance(event, StepEnded):
            step.line(f"{event.name} {event.detail}")

    return hear


def _passed(outcomes: tuple[Outcome, ...], strict: bool) -> bool:
    from stockctl.smoke.report import report

    return report(outcomes).ok and not (strict and any(not each.ok for each in outcomes))


def _show(session: Session, outcomes: tuple[Outcome, ...], strict: bool) -> None:
    line = session.output.line
    for each in outcomes:
        mark, style = _mark(each, strict)
        status = str(each.status or "—")
        took = format_duration(each.duration_s) if each.attempts else "—"
        first, *more = each.detail.splitlines() or [""]
        beside = f"  {first}" if first and not more else ""
        text = f"{mark} {each.check.name:<{_NAME_WIDTH}} {status:>4} {took:>7}{beside}"
        line(text.rstrip(), style=style)
        for part in [first, *more] if more else []:
            line(f"    {part}")
    failed = sum(_mark(each, strict)[0] == "✗" for each in outcomes)
    skipped = sum(each.skipped for each in outcomes)
    warned = sum(_mark(each, strict)[0] == "!" for each in outcomes)
    passed = len(outcomes) - failed - skipped - warned
    counts = ((passed, "passed"), (failed, "failed"), (warned, "to look at"), (skipped, "skipped"))
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    line(said, style="green" if _passed(outcomes, strict) else "bold red")


def _mark(each: Outcome, strict: bool) -> tuple[str, str]:
    if each.skipped:
        return "-", "dim"
    if each.ok:
        return "✓", "green"
    return ("✗", "red") if strict or each.check.critical else ("!", "yellow")


def _write_junit(session: Session, file: Path, name: str, outcomes: tuple[Outcome, ...]) -> None:
    from stockctl.smoke.report import junit

    took = sum(each.duration_s for each in outcomes)
    try:
        file.write_bytes(junit(outcomes, name, took, session.output.clean))
    except OSError as error:
        raise HostFailed(f"cannot write {file}: {error.strerror}") from error


def _data(each: Outcome) -> dict[str, Any]:
    return {
        "name": each.check.name,
        "ok": each.ok,
        "status": each.status,
        "duration_s": round(each.duration_s, 3),
        "detail": each.detail,
        "suite": each.check.suite,
        "critical": each.check.critical,
        "skipped": each.skipped,
        "attempts": each.attempts,
        "expected": each.expected,
        "sent": each.sent,
        "came": each.came,
    }
