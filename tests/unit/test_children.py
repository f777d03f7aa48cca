"""Whose coverage is measured."""

from __future__ import annotations

import pytest
from tests.children import measured, untraced

COVERED = {"PATH": "/bin", "COVERAGE_PROCESS_CONFIG": "{}"}
BARE = {"PATH": "/bin"}


@pytest.fixture
def in_a_fixture() -> dict[str, str]:
    return measured(("deploy", "staging"), variables=COVERED)


def test_an_interrupted_child_is_not_measured() -> None:
    assert untraced(COVERED) == BARE


def test_nor_is_one_of_a_fixture(in_a_fixture: dict[str, str]) -> None:
    assert in_a_fixture == BARE
    assert measured(("deploy", "staging"), variables=COVERED) == COVERED


@pytest.mark.parametrize("first", [True, False])
def test_a_test_measures_a_verb_twice_whatever_its_parameters(first: bool) -> None:
    for verb in ("deploy", "backup"):
        ran = [measured((verb, "staging", tag), 2, COVERED) for tag in ("v1", "v2", "v3")]
        assert ran == ([COVERED, COVERED, BARE] if first else [BARE, BARE, BARE])
