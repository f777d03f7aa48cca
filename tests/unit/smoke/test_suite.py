"""Checks become requests and answers become verdicts, as values."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from stockctl.env.smoke_check import SmokeCheck
from stockctl.smoke.expect import mismatch
from stockctl.smoke.paths import MISSING, find
from stockctl.smoke.suite import Exchange, Verdict, build, judge, select
from stockctl.smoke.template import fill, path, pattern, text
from stockctl.system.http import BODY_LIMIT_BYTES, Request, Response

VALUES = {"run": "r7", "n": 3, "token": "a/b c", "id": 12, "on": True}


def check(**fields: Any) -> SmokeCheck:
    return SmokeCheck.model_validate({"name": "c", "path": "/p", **fields})


def answer(status: int = 200, body: str = "", failure: str = "", **headers: str) -> Response:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Response(status, named, body.encode(), 0.5, failure)


def judged(declared: SmokeCheck, *answers: Response) -> Verdict:
    request = Request("GET", "http://a/p")
    return judge(declared, [Exchange(request, each) for each in answers], VALUES)


# ------------------------------------------------------------------------- requests


def test_a_plain_check_is_a_get() -> None:
    assert build(check(), "http://a:1/", VALUES) == Request("GET", "http://a:1/p", {}, None)


def test_values_are_filled_in_everywhere() -> None:
    declared = check(
        method="POST",
        path="/p/{run}/{token}?n={n}",
        headers={"X": "h-{token}"},
        json={"a": ["{run}", 1, {"b": "x{n}x"}], "n": None, "id": "{id}", "s": "no {id}"},
    )
    made = build(declared, "http://a", VALUES)
    assert made.url == "http://a/p/r7/a%2Fb%20c?n=3"
    assert made.headers == {"Content-Type": "application/json", "X": "h-a/b c"}
    body = {"a": ["r7", 1, {"b": "x3x"}], "n": None, "id": 12, "s": "no 12"}
    assert json.loads(made.body or b"") == body


def test_a_form_is_encoded() -> None:
    made = build(check(form={"a": "{token}", "b": "{on}&"}), "http://a", VALUES)
    assert made.body == b"a=a%2Fb+c&b=true%26"
    assert made.headers == {"Content-Type": "application/x-www-form-urlencoded"}


def test_a_content_type_of_its_own_wins() -> None:
    made = build(check(json={}, headers={"Content-Type": "text/x"}), "http://a", VALUES)
    assert made.headers == {"Content-Type": "text/x"}


def test_a_date_of_toml_is_sent_as_text() -> None:
    made = build(check(json={"on": date(2026, 11, 22)}), "http://a", VALUES)
    assert made.body == b'{"on": "2026-11-22"}'


def test_braces_that_are_no_placeholder_stay() -> None:
    assert text('{"a": {}} {{run}} {other}', VALUES) == '{"a": {}} {run} {other}'
    assert pattern(r"^{token}[0-9]{3}$", VALUES) == r"^a/b\ c[0-9]{3}$"
    assert path("/{id}", VALUES) == "/12"
    assert fill(["{on}", "{on}!"], VALUES) == [True, "true!"]


# ------------------------------------------------------------------------- verdicts

BODY = '{"data": [{"id": 7, "name": "x"}], "page": {"limit": 50}, "ok": true, "none": null}'
GOOD = [
    (check(), answer()),
    (check(status=[200, 204]), answer(204)),
    (check(contains="ok {run}"), answer(body="all ok r7")),
    (check(matches="^a.*{run}$"), answer(body="all ok r7")),
    (check(expect_headers={"X-A": "b"}), answer(x_a="b")),
    (check(expect_headers={"X-A": {"matches": "^b"}, "X-B": {"exists": False}}), answer(x_a="bc")),
    (check(any_status=429), answer(429)),
    (check(max_time="1s"), answer()),
    (check(expect_json={"data[0].id": 7, "page.limit": {"min": 1, "max": 50}}), answer(body=BODY)),
    (check(expect_json={"data": {"length": 1, "type": "array"}, "ok": True}), answer(body=BODY)),
    (check(expect_json={"data[-1].name": {"matches": "x"}}), answer(body=BODY)),
    (check(expect_json={"none": {"type": "null"}, "gone": {"exists": False}}), answer(body=BODY)),
    (check(expect_json={"page": {"equals": {"limit": 50}}}), answer(body=BODY)),
]


@pytest.mark.parametrize(("declared", "came"), GOOD)
def test_what_must_come_back_passes(declared: SmokeCheck, came: Response) -> None:
    verdict = judged(declared, came)
    assert (verdict.expected, verdict.ok, verdict.skipped) == ("", True, False)


BAD = [
    (check(), answer(500, "no"), "status 200, got 500"),
    (check(status=[201, 200]), answer(302), "status 200 or 201, got 302"),
    (check(), answer(0, failure="refused"), "an answer, got none: refused"),
    (check(contains="ok"), answer(body="bad"), "'ok' in the body, it is not there"),
    (check(matches="^o"), answer(body="no"), "a body that matches ^o, it does not"),
    (check(expect_headers={"X-A": "b"}), answer(), "header X-A: b, it is missing"),
    (check(expect_headers={"X-A": "b"}), answer(x_a="B"), "header X-A: b, got B"),
    (check(expect_headers={"X-A": {"exists": False}}), answer(x_a="B"), "not to be there, got B"),
    (check(any_status=429), answer(200), "429 among 1 answers, got 1 times 200"),
    (check(max_time="400ms"), answer(), "an answer within 0.4 s, got it after 0.500 s"),
    (check(expect_json={"a": 1}), answer(body="<html>"), "a JSON body; the body is no JSON"),
    (check(expect_json={"a": 1}), answer(body="[" * 100_000), "the body is no JSON"),
    (check(expect_json={"a": 1}), answer(body="x" * BODY_LIMIT_BYTES), "longer than 1000 kB"),
    (check(expect_json={"page.limit": 20}), answer(body=BODY), "page.limit: 20, got 50"),
    (check(expect_json={"page.limit": "50"}), answer(body=BODY), "page.limit: 50, got 50"),
    (check(expect_json={"ok": 1}), answer(body=BODY), "ok: 1, got true"),
    (check(expect_json={"gone": {"exists": True}}), answer(body=BODY), "gone: to be there"),
    (check(expect_json={"data[1].id": 7}), answer(body=BODY), "data[1].id: 7, it is missing"),
    (check(expect_json={"ok": {"type": "number"}}), answer(body=BODY), "of type number, got true"),
    (check(expect_json={"page.limit": {"max": 49}}), answer(body=BODY), "at most 49, got 50"),
    (check(capture={"t": "json:token"}), answer(body=BODY), "to capture t from json token"),
    (check(capture={"t": "json:data"}), answer(body=BODY), "to capture t from json data"),
]


@pytest.mark.parametrize(("declared", "came", "said"), BAD)
def test_what_must_not_come_back_is_told(declared: SmokeCheck, came: Response, said: str) -> None:
    verdict = judged(declared, came)
    assert not verdict.ok
    assert said in verdict.expected


def test_one_bad_answer_among_many_fails_and_is_the_one_shown() -> None:
    bad = answer(500)
    verdict = judged(check(), answer(), bad, answer())
    assert verdict.culprit is not None
    assert verdict.culprit.answer is bad


def test_with_any_status_the_content_is_that_of_those_that_have_it() -> None:
    declared = check(status=[201], any_status=429, contains="limit")
    assert judged(declared, answer(201, "made"), answer(429, "limit")).ok
    assert not judged(declared, answer(201, "limit"), answer(429, "other")).ok


def test_an_answer_that_says_nothing_is_neither_good_nor_bad() -> None:
    verdict = judged(check(skip_status=[429]), answer(), answer(429))
    assert (verdict.ok, verdict.skipped, verdict.captured) == (True, True, {})


def test_no_answer_at_all_is_no_success() -> None:
    assert not judged(check()).ok


def test_values_are_captured_from_body_headers_and_text() -> None:
    declared = check(
        capture={
            "a": "json:data[0].id",
            "b": "header:X-A",
            "c": 'body:"name": "(.)"',
            "d": "body:ok",
        }
    )
    found = judged(declared, answer(body=BODY, x_a="v")).captured
    assert found == {"a": 7, "b": "v", "c": "x", "d": "ok"}


@pytest.mark.parametrize(
    ("at", "found"),
    [("$", {"a": [1, {"b.c": 2}]}), ("a[1]", {"b.c": 2}), ("a[5]", MISSING), ("a.b", MISSING)],
)
def test_paths(at: str, found: Any) -> None:
    assert find({"a": [1, {"b.c": 2}]}, at) == found


def test_a_number_is_a_number_and_true_is_none() -> None:
    assert mismatch(1.0, 1) == ""
    assert mismatch(True, {"min": 1}) == "at least 1, got true"
    assert mismatch(1.5, {"type": "integer"}) == "of type integer, got 1.5"


# ------------------------------------------------------------------------- selection

CHECKS = [
    check(name="health", tags=["quick"]),
    check(name="register", capture={"token": "json:t"}, tags=["auth"]),
    check(name="list", headers={"A": "{token}"}, suite="lists", after=["health"]),
    check(name="forget", path="/u/{token}", cleanup=True),
]


@pytest.mark.parametrize(
    ("suite", "tags", "names"),
    [
        (None, [], ["health", "register", "list", "forget"]),
        (None, ["quick"], ["health", "forget"]),
        ("lists", [], ["health", "register", "list", "forget"]),
        ("lists", ["quick"], []),
        (None, ["quick", "auth"], ["health", "register", "forget"]),
    ],
)
def test_what_a_chosen_check_waits_for_comes_along(
    suite: str | None, tags: list[str], names: list[str]
) -> None:
    assert [each.name for each in select(CHECKS, suite, tags)] == names
