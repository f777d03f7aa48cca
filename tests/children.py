"""Child processes that get signals."""

from __future__ import annotations

import os
from collections.abc import Mapping


def untraced(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a child that a test interrupts: its coverage is not measured.

    Coverage's tracer calls Python code for each new file, under a lock. What a signal's handler
    raises there is lost with the lock held: the child goes on, or hangs for ever.
    """
    return {key: value for key, value in variables.items() if not key.startswith("COVERAGE_")}
