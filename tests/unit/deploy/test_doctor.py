"""`stockctl doctor` sends nobody to itself."""

from __future__ import annotations

import pytest

from stockctl.core.errors import ToolMissing
from stockctl.deploy.doctor import _ask


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        (
            "Is it running, and may you use it? stockctl doctor ENV",
            "Is it running, and may you use it?",
        ),
        ("stockctl doctor ENV", ""),
        ("apt-get install git", "apt-get install git"),
    ],
)
def test_a_hint_that_leads_here_is_of_no_use_here(hint: str, shown: str) -> None:
    def question() -> str:
        raise ToolMissing("it is not there", hint=hint)

    check = _ask("piece", question)
    assert (check.ok, check.fix) == (False, shown)
