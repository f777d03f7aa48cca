"""A command that waits for an environment gets its name, and nothing else does."""

from __future__ import annotations

import pytest

from stockctl.core.hint import addressed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See: stockctl db status ENV", "See: stockctl db status prod"),
        (
            "stockctl doctor ENV, then stockctl deploy ENV",
            "stockctl doctor prod, then stockctl deploy prod",
        ),
        ("(`stockctl backup prune ENV --plan`).", "(`stockctl backup prune prod --plan`)."),
        ("stockctl db migrate staging\nENV=prod", "stockctl db migrate staging\nENV=prod"),
        ("stockctl db status ENVIRONMENT", "stockctl db status ENVIRONMENT"),
        ("set STOCKCTL_ENV or ENV", "set STOCKCTL_ENV or ENV"),
        ("not-stockctl db status ENV", "not-stockctl db status ENV"),
    ],
)
def test_the_name_stands_in_commands(text: str, shown: str) -> None:
    assert addressed(text, "prod") == shown
    assert addressed(text, None) == text
