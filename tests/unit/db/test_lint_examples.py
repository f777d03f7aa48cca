"""Each rule's own examples, as docs/lint.md shows them: the bad one is found, the good one not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from stockctl.db.lint import RULES, Rule
from stockctl.db.lint.run import lint
from stockctl.db.lint.squawk import OFF
from stockctl.system.local import LocalHost

SHOWN = {code: rule for code, rule in RULES.items() if rule.bad}


def codes(folder: Path, files: Mapping[str, str]) -> set[str]:
    for name, text in files.items():
        (folder / name).write_text(text)
    return {finding.code for finding in lint(folder, LocalHost()).findings}


@pytest.mark.parametrize("rule", SHOWN.values(), ids=SHOWN)
def test_the_bad_example_is_found(rule: Rule, tmp_path: Path) -> None:
    assert rule.code in codes(tmp_path, rule.bad)


@pytest.mark.parametrize("rule", SHOWN.values(), ids=SHOWN)
def test_the_good_example_is_clean(rule: Rule, tmp_path: Path) -> None:
    assert codes(tmp_path, rule.good) == set()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_it_says_what_and_why(rule: Rule) -> None:
    assert rule.what
    assert rule.why
    assert rule.code[0] == "M" or rule.what.endswith(".")


def test_what_is_without_an_example_is_found_elsewhere() -> None:
    without = {code for code in RULES if code not in SHOWN and code[0] != "M"}
    assert without == {"L198", "L199"}


def test_a_rule_of_squawk_that_is_off_says_which_of_ours_is_better_or_why() -> None:
    for reason in OFF.values():
        assert not reason.startswith("see ") or reason.removeprefix("see ") in RULES


def test_every_code_of_a_file_is_explained_by_hand_in_the_same_words() -> None:
    page = (Path(__file__).parents[3] / "docs" / "findings.md").read_text()
    for code, rule in RULES.items():
        if code[0] == "M":
            assert f"| {code} | {rule.what} |" in page
