"""Declared checks → requests, and answers → verdicts. Nothing here sends anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from stockctl.env.smoke_check import SmokeCheck, prerequisites
from stockctl.smoke.expect import captured, wrong_content, wrong_status, wrong_time
from stockctl.smoke.template import Value, Values, fill, path, text, written
from stockctl.system.http import Request, Response


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer."""

    request: Request
    answer: Response


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the answers say. `expected` is the first thing that did not come, `culprit` the
    exchange that lacks it."""

    expected: str = ""
    skipped: bool = False
    culprit: Exchange | None = None
    captured: Mapping[str, Value] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.expected


def select(
    checks: Sequence[SmokeCheck], suite: str | None = None, tags: Sequence[str] = ()
) -> tuple[SmokeCheck, ...]:
    """Those of a suite that have one of the tags, in their order, and whatever they wait for."""
    chosen = {
        check.name
        for check in checks
        if (suite is None or check.suite == suite) and (not tags or set(tags) & set(check.tags))
    }
    needs = prerequisites([check for check in checks if not check.cleanup])
    left = list(chosen)
    while left:
        more = needs.get(left.pop(), frozenset()) - chosen
        chosen |= more
        left += more
    swept = {check.name for check in checks if check.cleanup and chosen}
    return tuple(check for check in checks if check.name in chosen | swept)


def build(check: SmokeCheck, base_url: str, values: Values) -> Request:
    """The request of a check."""
    headers = {name: text(value, values) for name, value in check.headers.items()}
    body = None
    if check.json_body is not None:
        headers = {"Content-Type": "application/json", **headers}
        body = json.dumps(fill(check.json_body, values), default=str).encode()
    elif check.form is not None:
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        body = urlencode({k: written(fill(v, values)) for k, v in check.form.items()}).encode()
    return Request(check.method, base_url.rstrip("/") + path(check.path, values), headers, body)


def judge(check: SmokeCheck, exchanges: Sequence[Exchange], values: Values) -> Verdict:
    """The first thing that is wrong, or that all is well."""
    if not exchanges:
        return Verdict("something to be sent")
    for each in exchanges:
        if each.answer.failure:
            return Verdict(f"an answer, got none: {each.answer.failure}", culprit=each)
        if each.answer.status in check.skip_status:
            return Verdict(skipped=True, culprit=each)
        wrong = wrong_status(check, each.answer) or wrong_time(check, each.answer)
        if wrong:
            return Verdict(wrong, culprit=each)
    telling = [x for x in exchanges if check.any_status in (None, x.answer.status)]
    if not telling:
        statuses = [each.answer.status for each in exchanges]
        counts = ", ".join(f"{statuses.count(n)} times {n}" for n in sorted(set(statuses)))
        wrong = f"{check.any_status} among {len(statuses)} answers, got {counts}"
        return Verdict(wrong, culprit=exchanges[-1])
    for each in telling:
        wrong = wrong_content(check, each.answer, values)
        if wrong:
            return Verdict(wrong, culprit=each)
    found, wrong = captured(check, telling[-1].answer)
    return Verdict(wrong, culprit=telling[-1], captured=found)
