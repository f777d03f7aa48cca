"""The error tree is the contract's table of exit codes."""

from __future__ import annotations

import inspect

import pytest

from stockctl.core.errors import (
    ConfigurationError,
    Locked,
    StockctlError,
    Terminated,
    Where,
    tree,
)
from stockctl.core.report import Finding, Severity

CONTRACT = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 130, 143}  # 0 and 10 are no errors
EXPECTED = {
    "BUG": 1,
    "INTERRUPTED": 130,
    "TERMINATED": 143,
    "USAGE": 2,
    "NO_PROJECT": 2,
    "UNKNOWN_ENVIRONMENT": 2,
    "CONFIGURATION": 3,
    "REFUSED": 4,
    "CONFIRMATION_MISSING": 4,
    "PLAN_OUTDATED": 4,
    "LOCKED": 5,
    "FROZEN": 5,
    "TOOL_FAILED": 6,
    "TOOL_MISSING": 6,
    "DEADLINE": 6,
    "ENGINE": 6,
    "STORE": 6,
    "HOST": 6,
    "DATABASE": 7,
    "DATABASE_UNREACHABLE": 7,
    "MIGRATION": 7,
    "BACKUP_INVALID": 8,
    "UNHEALTHY": 9,
    "PERSON_NEEDED": 11,
}


def own_tree() -> list[type[StockctlError]]:
    return [each for each in tree() if each.__module__ == StockctlError.__module__]


def test_codes_and_exit_codes_are_those_of_the_contract() -> None:
    assert {each.code: each.exit_code for each in own_tree()} == EXPECTED


@pytest.mark.parametrize("error", own_tree(), ids=lambda error: error.__name__)
def test_every_error_is_documented_and_in_the_contract(error: type[StockctlError]) -> None:
    own = error.__dict__
    assert "code" in own, "a code of its own, not its parent's"
    assert error.exit_code in CONTRACT
    assert (inspect.getdoc(error) or "") != (inspect.getdoc(StockctlError) or "")
    assert "__doc__" in own and len(own["__doc__"]) > 30


def test_codes_are_unique() -> None:
    codes = [each.code for each in own_tree()]
    assert len(codes) == len(set(codes))


def test_parents_come_before_children() -> None:
    found = own_tree()
    for each in found:
        parent = each.__bases__[0]
        assert parent is StockctlError or found.index(parent) < found.index(each)


def test_a_message_begins_with_its_place() -> None:
    error = StockctlError("is wrong", where=Where("prod.toml", 14, 3))
    assert str(error) == "prod.toml:14:3: is wrong"
    assert str(StockctlError("is wrong", where=Where("prod.toml"))) == "prod.toml: is wrong"
    assert str(StockctlError("is wrong")) == "is wrong"


def test_a_configuration_error_keeps_its_findings() -> None:
    finding = Finding("C001", Severity.ERROR, "no")
    assert ConfigurationError("x", findings=[finding]).findings == (finding,)


def test_retry_after_is_carried() -> None:
    assert Locked("x", retry_after_s=30).retry_after_s == 30


def test_termination_passes_handlers_of_exceptions() -> None:
    assert not issubclass(Terminated, Exception)
