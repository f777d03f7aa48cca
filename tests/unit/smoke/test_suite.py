"""Checks become requests and answers become verdicts, as values."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from stockctl.core.errors import Unhealthy
from stockctl.core.report import Check, Report
from stockctl.env.model import SmokeCheck
from stockctl.smoke.run import require
from stockctl.smoke.suite import SHOWN_BODY, build, judge
from stockctl.system.http import Request, Response


def check(**fields: Any) -> SmokeCheck:
    return SmokeCheck.model_validate({"name": "c", "path": "/p", **fields})


def answer(status: int = 200, body: str = "", failure: str = "", **headers: str) -> Response:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Response(status, named, body.encode(), 0.5, failure)


def test_a_plain_check_is_a_get() -> None:
    assert build(check(), "http://a:1/", "r") == Request("GET", "http://a:1/p", {}, None)


def test_the_run_is_filled_in_everywhere() -> None:
    made = build(
        check(
            method="POST",
            path="/p/{run}",
            headers={"X": "h-{run}"},
            json={"a": ["{run}", 1, {"b": "x{run}x"}], "n": None},
        ),
        "http://a",
        "r7",
    )
    assert made.url == "http://a/p/r7"
    assert made.headers == {"Content-Type": "application/json", "X": "h-r7"}
    assert json.loads(made.body or b"") == {"a": ["r7", 1, {"b": "xr7x"}], "n": None}


def test_a_content_type_of_its_own_wins() -> None:
    made = build(check(json={}, headers={"Content-Type": "text/x"}), "http://a", "r")
    assert made.headers == {"Content-Type": "text/x"}


def test_a_date_of_toml_is_sent_as_text() -> None:
    made = build(check(json={"on": date(2026, 11, 22)}), "http://a", "r")
    assert made.body == b'{"on": "2026-11-22"}'


GOOD = [
    (check(), answer()),
    (check(status=[200, 204]), answer(204)),
    (check(contains="ok"), answer(body="all ok")),
    (check(expect_headers={"X-A": "b"}), answer(x_a="b")),
    (check(any_status=429), answer(429)),
]


@pytest.mark.parametrize(("declared", "came"), GOOD)
def test_what_must_come_back_passes(declared: SmokeCheck, came: Response) -> None:
    verdict = judge(declared, [came])
    assert (verdict.ok, verdict.detail, verdict.status) == (True, "", came.status)


BAD = [
    (check(), answer(500, "no  good\n"), "GET /p: expected 200, got 500: no good"),
    (check(), answer(500), "GET /p: expected 200, got 500: an empty body"),
    (check(status=[201, 200]), answer(302), "expected 200 or 201, got 302"),
    (check(), answer(0, failure="connection refused"), "GET /p: connection refused"),
    (check(contains="ok"), answer(body="bad"), "expected 'ok' in the body, got bad"),
    (check(expect_headers={"X-A": "b"}), answer(), "expected header X-A: b, it is missing"),
    (check(expect_headers={"X-A": "b"}), answer(x_a="B"), "expected header X-A: b, got B"),
    (check(any_status=429), answer(200), "expected 429 among 1 answers, got 1 times 200"),
]


@pytest.mark.parametrize(("declared", "came", "said"), BAD)
def test_what_must_not_come_back_is_told(declared: SmokeCheck, came: Response, said: str) -> None:
    verdict = judge(declared, [came])
    assert not verdict.ok
    assert said in verdict.detail


def test_one_bad_answer_among_many_fails() -> None:
    verdict = judge(check(), [answer(), answer(500), answer()])
    assert not verdict.ok
    assert "got 500" in verdict.detail


def test_no_answer_at_all_is_no_success() -> None:
    verdict = judge(check(), [])
    assert (verdict.ok, verdict.detail) == (False, "nothing was sent")


def test_a_long_body_is_cut() -> None:
    verdict = judge(check(), [answer(500, "x" * 5000)])
    assert verdict.detail.endswith("…")
    assert len(verdict.detail) < SHOWN_BODY + 60


def test_the_slowest_answer_counts() -> None:
    slow = Response(200, {}, b"", 3.0)
    assert judge(check(), [answer(), slow, answer()]).duration_s == 3.0


def test_require_raises_for_a_report_of_nothing() -> None:
    with pytest.raises(Unhealthy):
        require(Report(()), "staging")
    require(Report((Check("a", True),)), "staging")
