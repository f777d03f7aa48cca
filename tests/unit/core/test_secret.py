"""A Secret leaves the process through `.reveal()` and nowhere else."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.core.secret import MASK, Secret

CANARY = "canary-7f3a91-hunter2"


@dataclass(frozen=True)
class Holder:
    secret: Secret


SHOWN = {
    "str": lambda s: str(s),
    "repr": lambda s: repr(s),
    "f-string": lambda s: f"{s}",
    "padded": lambda s: f"{s:>20}",
    "conversion": lambda s: f"{s!r} {s!s} {s!a}",
    "percent": lambda s: "%s %r" % (s, s),  # noqa: UP031
    "format": lambda s: "{0}".format(s),  # noqa: UP030, UP032
    "json with a default": lambda s: json.dumps({"password": s}, default=str),
    "in a list": lambda s: str([s]),
    "in a dict": lambda s: str({"password": s}),
    "in a dataclass": lambda s: repr(Holder(s)),
}


@pytest.mark.parametrize("way", SHOWN)
def test_every_way_to_show_it_shows_stars(way: str) -> None:
    shown = SHOWN[way](Secret(CANARY))
    assert CANARY not in shown
    assert MASK in shown


@given(st.text(min_size=4).filter(lambda value: value not in "Secret('***')"))
def test_no_value_shows_through(value: str) -> None:
    assert value not in f"{Secret(value)}{Secret(value)!r}"


def test_json_without_a_default_refuses_it() -> None:
    with pytest.raises(TypeError) as caught:
        json.dumps({"password": Secret(CANARY)})
    assert CANARY not in str(caught.value)


def test_a_log_record_holds_stars(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("t").info("password=%s %r", Secret(CANARY), Secret(CANARY))
    assert CANARY not in caplog.text
    assert MASK in caplog.text


def test_a_traceback_with_locals_holds_stars() -> None:
    secret = Secret(CANARY)
    try:
        raise RuntimeError(f"cannot use {secret}")
    except RuntimeError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    text = "".join(shown)
    assert "secret = Secret" in text
    # the test's own module constant is no local of this frame
    assert CANARY not in text


def test_it_has_no_attributes_to_list() -> None:
    with pytest.raises(TypeError):
        vars(Secret(CANARY))


@pytest.mark.parametrize("through", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_neither_pickled_nor_copied(through: object) -> None:
    assert callable(through)
    with pytest.raises(TypeError) as caught:
        through(Secret(CANARY))
    assert CANARY not in str(caught.value)


def test_reveal_gives_the_value() -> None:
    assert Secret(CANARY).reveal() == CANARY


def test_equality_is_by_value_and_only_among_secrets() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert hash(Secret(CANARY)) != hash(CANARY)


def test_length_and_truth_are_those_of_the_value() -> None:
    assert len(Secret("abc")) == 3
    assert Secret("a")
    assert not Secret("")
