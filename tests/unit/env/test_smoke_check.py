"""What a declared check may say, and what is wrong before anything is sent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from stockctl.env.smoke_check import SmokeCheck, prerequisites, sound


def check(name: str = "c", **fields: Any) -> SmokeCheck:
    return SmokeCheck.model_validate({"name": name, "path": "/p", **fields})


WRONG = [
    ({"json": {}, "form": {}}, "a request has one body"),
    ({"matches": "("}, "not a regular expression"),
    ({"capture": {"token": "jsn:a"}}, 'expected "json:PATH"'),
    ({"capture": {"Token": "json:a"}}, "cannot be captured"),
    ({"capture": {"run": "json:a"}}, "cannot be captured"),
    ({"capture": {"a": "body:("}}, "not a regular expression"),
    ({"expect_json": {"pagination": {"limit": 50}}}, 'quoted, "pagination.limit"'),
    ({"expect_json": {"a": {}}}, "is none of"),
    ({"expect_json": {"a": {"type": "text"}}}, "type is one of"),
    ({"expect_headers": {"A": {"matches": "("}}}, "not a regular expression"),
]


@pytest.mark.parametrize(("fields", "said"), WRONG)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check(**fields)
    assert said in str(caught.value)


UNFIT = [
    ([check("a"), check("a")], 'two checks are called "a"'),
    ([check("a", path="/{tokn}"), check("b", capture={"token": "json:t"})], "Did you mean {token}"),
    ([check("a", json={"x": ["{ghost}"]})], "nothing captures {ghost}. As text: {{ghost}}."),
    ([check("a", expect_json={"x": {"equals": "{ghost}"}})], "nothing captures {ghost}"),
    ([check("a", after=["b"])], 'after names "b", which is no check'),
    (
        [
            check("a", path="/{y}", capture={"x": "json:x"}),
            check("b", path="/{x}", capture={"y": "json:y"}),
        ],
        "these wait for one another: a, b",
    ),
    ([check("a", after=["b"]), check("b", after=["a"]), check("c")], "one another: a, b"),
]


@pytest.mark.parametrize(("checks", "said"), UNFIT)
def test_what_does_not_fit_together_is_refused(checks: list[SmokeCheck], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        sound(checks)


def test_built_in_names_and_other_braces_need_nobody() -> None:
    sound([check(path="/{run}/{n}", json={"a": "{{run}} {}"}, matches="[0-9]{3}")])


def test_what_a_check_waits_for() -> None:
    checks = [
        check("make", capture={"id": "json:id"}),
        check("use", path="/{id}"),
        check("last", after=["use"]),
        check("forget", path="/{id}", cleanup=True),
    ]
    sound(checks)
    assert prerequisites(checks) == {
        "make": frozenset(),
        "use": {"make"},
        "last": {"use"},
        "forget": {"make", "use", "last"},
    }
