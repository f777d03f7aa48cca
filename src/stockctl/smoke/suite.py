"""Declared checks → requests, and answers → verdicts. Nothing here sends anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stockctl.core.report import Check
from stockctl.env.model import SmokeCheck
from stockctl.system.http import Request, Response

RUN = "{run}"
SHOWN_BODY = 300  # characters of an answer that a person gets to see


def build(check: SmokeCheck, base_url: str, run: str) -> Request:
    """The request of a check; `{run}` becomes an id that is new for each run."""
    headers = {name: value.replace(RUN, run) for name, value in check.headers.items()}
    body = None
    if check.json_body is not None:
        headers = {"Content-Type": "application/json", **headers}
        body = json.dumps(_fill(check.json_body, run), default=str).encode()
    url = base_url.rstrip("/") + check.path.replace(RUN, run)
    return Request(check.method, url, headers, body)


def judge(check: SmokeCheck, answers: Sequence[Response]) -> Check:
    """What the answers say: the first thing that is wrong, or that all is well."""
    slowest = max((answer.duration_s for answer in answers), default=0.0)
    wrong = next(filter(None, (_wrong(check, answer) for answer in answers)), "")
    statuses = [answer.status for answer in answers]
    if not answers:
        wrong = "nothing was sent"
    if not wrong and check.any_status is not None and check.any_status not in statuses:
        counts = ", ".join(f"{statuses.count(n)} times {n}" for n in sorted(set(statuses)))
        wrong = f"expected {check.any_status} among {len(statuses)} answers, got {counts}"
    last = statuses[-1] if statuses else None
    return Check(check.name, not wrong, wrong, duration_s=slowest, status=last)


def _wrong(check: SmokeCheck, answer: Response) -> str:
    asked = f"{check.method} {check.path}"
    if answer.failure:
        return f"{asked}: {answer.failure}"
    allowed = {*check.status, *([check.any_status] if check.any_status else [])}
    if answer.status not in allowed:
        expected = " or ".join(str(status) for status in sorted(allowed))
        return f"{asked}: expected {expected}, got {answer.status}: {_shown(answer)}"
    for name, expected in check.expect_headers.items():
        got = answer.headers.get(name.lower())
        if got != expected:
            came = "it is missing" if got is None else f"got {got}"
            return f"{asked}: expected header {name}: {expected}, {came}"
    if check.contains is not None and check.contains not in answer.text():
        return f"{asked}: expected {check.contains!r} in the body, got {_shown(answer)}"
    return ""


def _shown(answer: Response) -> str:
    text = " ".join(answer.text().split())
    return text[:SHOWN_BODY] + ("…" if len(text) > SHOWN_BODY else "") or "an empty body"


def _fill(value: Any, run: str) -> Any:
    if isinstance(value, str):
        return value.replace(RUN, run)
    if isinstance(value, dict):
        return {key: _fill(item, run) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, run) for item in value]
    return value
