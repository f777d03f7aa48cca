"""What a person and a CI system get to see of a check."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from stockctl.core.errors import Unhealthy
from stockctl.core.report import Check, Report
from stockctl.env.smoke_check import SmokeCheck
from stockctl.smoke.report import SHOWN_BODY, Outcome, junit, outcome, report
from stockctl.smoke.run import require
from stockctl.smoke.suite import Exchange, Verdict
from stockctl.system.http import Request, Response


def check(name: str = "c", **fields: Any) -> SmokeCheck:
    return SmokeCheck.model_validate({"name": name, "path": "/p", **fields})


def failed(request: Request, came: Response, **values: str) -> Outcome:
    verdict = Verdict("status 200, got 500", culprit=Exchange(request, came))
    return outcome(check(), verdict, 0.5, 1, values)


def test_a_failure_tells_what_was_sent_came_and_was_expected() -> None:
    request = Request("POST", "http://a/p", {"X-Id": "7"}, b'{"email": "a@b", "n": 1}')
    came = Response(302, {"location": "/login", "date": "x"}, b" see \n other ", 0.0123)
    assert failed(request, came).detail.splitlines() == [
        "expected status 200, got 500",
        "sent     POST http://a/p",
        "         X-Id: 7",
        '         {"email": "a@b", "n": 1}',
        "came     302 Found in 12 ms",
        "         location: /login",
        "         see other",
    ]


@pytest.mark.parametrize(
    ("request_", "came"),
    [
        (Request("GET", "http://a/p", {"Authorization": "canary-1"}), b""),
        (Request("GET", "http://a/p", {"X-Api-Key": "canary-1", "Cookie": "canary-1"}), b""),
        (Request("POST", "http://a/p", {}, b'{"a": [{"password": "canary-1"}]}'), b""),
        (Request("GET", "http://a/p"), b'{"data": {"session_token": ["canary-1"]}}'),
        (Request("GET", "http://a/captured-value/canary-1".replace("canary-1", "x")), b"x"),
        (Request("GET", "http://a/p"), b"plain text with captured-value in it"),
        (
            Request(
                "POST",
                "http://a/p",
                {"Content-Type": "application/x-www-form-urlencoded"},
                b"user=a&password=canary-1",
            ),
            b"",
        ),
    ],
)
def test_secrets_are_masked_in_what_was_sent_and_came(request_: Request, came: bytes) -> None:
    shown = failed(request_, Response(500, {}, came, 0.1), token="captured-value", run="1").detail
    assert "canary-1" not in shown
    assert "captured-value" not in shown
    assert "***" in shown


def test_a_long_body_is_cut() -> None:
    shown = failed(Request("GET", "http://a"), Response(500, {}, b"x" * 10**6, 0.1)).came
    assert shown.endswith("…")
    assert len(shown) < SHOWN_BODY + 100


def test_one_that_passed_shows_nothing_of_the_traffic() -> None:
    exchange = Exchange(Request("GET", "http://a"), Response(200, {}, b"b", 0.1))
    made = outcome(check(), Verdict(culprit=exchange), 0.1, 3, {})
    assert (made.sent, made.came, made.detail) == ("", "", "at attempt 3")


OUTCOMES = [
    Outcome(check("good", suite="a"), ok=True, status=200, duration_s=0.25),
    Outcome(check("bad", suite="b"), ok=False, status=500, expected="status 200 <&>, got 500"),
    Outcome(check("odd", suite="b", critical=False), ok=False, reason="not sent"),
    Outcome(check("later", suite="b"), ok=True, skipped=True, status=429),
]


def test_junit_has_a_suite_for_each_of_ours() -> None:
    root = ElementTree.fromstring(junit(OUTCOMES, "staging", 1.5, lambda text: text))
    suites = {suite.get("name"): suite for suite in root}
    assert (suites["a"].get("tests"), suites["a"].get("failures")) == ("1", "0")
    counts = [suites["b"].get(key) for key in ("tests", "failures", "skipped")]
    assert counts == ["3", "1", "2"]
    failure = suites["b"].find("testcase[@name='bad']/failure")
    assert failure is not None
    assert failure.get("message") == "expected status 200 <&>, got 500"


def test_only_critical_failures_count_and_to_have_asked_nothing_is_none() -> None:
    good, bad, odd, later = OUTCOMES
    assert report([good, odd, later]).ok
    assert not report([good, bad]).ok
    assert not report([later]).ok


def test_require_raises_for_a_report_of_nothing() -> None:
    with pytest.raises(Unhealthy):
        require(Report(()), "staging")
    require(Report((Check("a", True),)), "staging")
    with pytest.raises(Unhealthy, match="staging: 1 of 4 smoke checks failed") as caught:
        require(report(OUTCOMES), "staging")
    assert caught.value.details.startswith("bad: expected status 200 <&>, got 500")
