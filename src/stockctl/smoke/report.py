"""How each check went: for a person, as a Check, as JUnit."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree

from stockctl.core.report import Check, Report
from stockctl.core.secret import MASK
from stockctl.env.smoke_check import SmokeCheck
from stockctl.smoke.suite import Exchange, Verdict
from stockctl.smoke.template import Values
from stockctl.system.http import BODY_LIMIT_BYTES, Request, Response

SHOWN_BODY = 400  # characters that a person gets to see
SHORTEST_MASKED = 6  # a captured `7` is no secret, and would mask half of the text
SHOWN_HEADERS = ("content-type", "location", "retry-after")
_SECRET_KEY = re.compile(
    r"(?i)pass|secret|token|credential|cookie|authorization|(^|[-_])key$|apikey"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check: what was sent, what came, what was expected; secrets are masked in all of it."""

    check: SmokeCheck
    ok: bool
    skipped: bool = False
    status: int | None = None
    duration_s: float = 0.0
    attempts: int = 1
    sent: str = ""
    came: str = ""
    expected: str = ""
    reason: str = ""  # why nothing was sent

    @property
    def detail(self) -> str:
        """Several lines for one that failed, else a word or nothing."""
        if self.reason:
            return self.reason
        if self.skipped:
            return f"{self.status} says nothing about it"
        if self.ok:
            return f"at attempt {self.attempts}" if self.attempts > 1 else ""
        parts = (("expected", self.expected), ("sent", self.sent), ("came", self.came))
        return "\n".join(f"{name:<9}{_indented(text)}" for name, text in parts if text)

    def as_check(self) -> Check:
        return Check(
            self.check.name,
            self.ok,
            self.detail,
            duration_s=self.duration_s,
            status=self.status,
            critical=self.check.critical,
            skipped=self.skipped,
        )


def outcome(
    check: SmokeCheck, verdict: Verdict, duration_s: float, attempts: int, values: Values
) -> Outcome:
    """The answers of the last attempt, as they may be shown."""
    culprit = verdict.culprit
    hide = [str(value) for name, value in values.items() if name != "run"]
    hidden = [value for value in hide if len(value) >= SHORTEST_MASKED]
    return Outcome(
        check,
        verdict.ok,
        skipped=verdict.skipped,
        status=culprit.answer.status or None if culprit else None,
        duration_s=duration_s,
        attempts=attempts,
        sent="" if verdict.ok or not culprit else _masked(_sent(culprit.request), hidden),
        came="" if verdict.ok or not culprit else _masked(_came(culprit), hidden),
        expected=_masked(verdict.expected, hidden),
    )


def report(outcomes: Sequence[Outcome]) -> Report:
    """As it is asked whether all is well."""
    return Report(tuple(each.as_check() for each in outcomes))


def _sent(request: Request) -> str:
    headers = [f"{name}: {_header(name, value)}" for name, value in request.headers.items()]
    body = _body(request.body or b"", request.headers.get("Content-Type", ""))
    return "\n".join(filter(None, (f"{request.method} {request.url}", *headers, body)))


def _came(exchange: Exchange) -> str:
    answer = exchange.answer
    if answer.failure:
        return answer.failure
    headers = [f"{n}: {answer.headers[n]}" for n in SHOWN_HEADERS if n in answer.headers]
    body = _body(answer.body, answer.headers.get("content-type", "")) or "an empty body"
    first = f"{answer.status}{_phrase(answer)} in {answer.duration_s * 1000:.0f} ms"
    return "\n".join((first, *headers, body))


def _phrase(answer: Response) -> str:
    known = {status.value: status.phrase for status in HTTPStatus}
    return f" {known[answer.status]}" if answer.status in known else ""


def _header(name: str, value: str) -> str:
    return MASK if _SECRET_KEY.search(name) else value


def _body(body: bytes, kind: str) -> str:
    """At most SHOWN_BODY characters, what may be a secret by its key masked."""
    text = body[: 4 * SHOWN_BODY].decode(errors="replace")
    if "form-urlencoded" in kind:
        pairs = parse_qsl(text, keep_blank_values=True)
        text = urlencode([(k, MASK if _SECRET_KEY.search(k) else v) for k, v in pairs], safe="*")
    elif len(body) < BODY_LIMIT_BYTES:
        try:
            text = json.dumps(_without_secrets(json.loads(body)), ensure_ascii=False)
        except (ValueError, RecursionError):
            pass  # it is shown as it came
    text = " ".join(text.split())
    return text[:SHOWN_BODY] + ("…" if len(text) > SHOWN_BODY else "")


def _without_secrets(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item, key) for item in value]
    return MASK if isinstance(value, str) and _SECRET_KEY.search(key) else value


def _masked(text: str, hidden: Sequence[str]) -> str:
    for value in sorted(hidden, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def _indented(text: str) -> str:
    return text.replace("\n", "\n" + " " * 9)


def junit(outcomes: Sequence[Outcome], environment: str, duration_s: float, clean: Any) -> bytes:
    """As CI systems read it: one suite of the file for each of ours. `clean` takes secrets and
    control characters out of a text."""
    root = ElementTree.Element("testsuites", name=f"stockctl smoke {environment}")
    root.set("time", f"{duration_s:.3f}")
    for name in dict.fromkeys(each.check.suite for each in outcomes):
        mine = [each for each in outcomes if each.check.suite == name]
        suite = ElementTree.SubElement(root, "testsuite", name=name, tests=str(len(mine)))
        suite.set("failures", str(sum(_fails(each) for each in mine)))
        passed = sum(each.ok and not each.skipped for each in mine)
        suite.set("skipped", str(len(mine) - passed - sum(_fails(each) for each in mine)))
        for each in mine:
            _case(suite, each, environment, clean)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _fails(outcome: Outcome) -> bool:
    return not outcome.ok and outcome.check.critical


def _case(suite: ElementTree.Element, each: Outcome, environment: str, clean: Any) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=f"smoke.{environment}")
    case.set("name", clean(each.check.name))
    case.set("time", f"{each.duration_s:.3f}")
    if _fails(each):
        first = each.reason or f"expected {each.expected}"
        ElementTree.SubElement(case, "failure", message=clean(first)).text = clean(each.detail)
    elif each.skipped or not each.ok:
        ElementTree.SubElement(case, "skipped", message=clean(each.detail))
