"""Sends the declared checks, one after the other; the repetitions of one go out in parallel."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from stockctl.core.errors import ConfigurationError, Unhealthy
from stockctl.core.progress import Progress
from stockctl.core.report import Check, Report
from stockctl.env.model import SmokeCheck
from stockctl.smoke.suite import build, judge
from stockctl.system.http import send

PARALLEL = 20


def smoke(checks: Sequence[SmokeCheck], base_url: str, progress: Progress) -> Report:
    """Runs every check, also after one failed. Raises ConfigurationError where there is none:
    testing nothing must not look like success."""
    if not checks:
        raise ConfigurationError(
            "no smoke checks are declared",
            hint="Add [[smoke]] with name and path to the TOML file.",
        )
    run = uuid.uuid4().hex[:10]
    return Report(tuple(_run(check, base_url, run, progress) for check in checks))


def require(report: Report, what: str) -> None:
    """Raises Unhealthy, naming each check that failed."""
    if not report.ok:
        lines = [f"{check.name}: {check.detail}" for check in report.failed]
        raise Unhealthy(
            f"{what}: {len(lines)} of {len(report.checks)} smoke checks failed",
            details="\n".join(lines),
        )


def _run(check: SmokeCheck, base_url: str, run: str, progress: Progress) -> Check:
    with progress.step(f"smoke: {check.name}") as step:
        requests = [build(check, base_url, run)] * check.repeat
        with ThreadPoolExecutor(min(PARALLEL, check.repeat)) as pool:
            answers = list(pool.map(lambda each: send(each, timeout_s=check.timeout), requests))
        verdict = judge(check, answers)
        step.detail = verdict.detail or f"{verdict.status}"
        step.ok = verdict.ok
        return verdict
