"""Child processes whose coverage is not measured, or not each time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence

_MEASURED: Counter[tuple[str, ...]] = Counter()


def untraced(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a child that a test interrupts: its coverage is not measured.

    Coverage's tracer calls Python code for each new file, under a lock. What a signal's handler
    raises there is lost with the lock held: the child goes on, or hangs for ever.
    """
    return {key: value for key, value in variables.items() if not key.startswith("COVERAGE_")}


def measured(
    arguments: Sequence[str], times: int = 2, variables: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment for a child that runs to its end. Its coverage is measured the first times
    that a test, with whichever parameters, comes to a verb, and not in a fixture: being measured
    is 40 % of what a short child costs, and the third `deploy status` goes the same way. The
    second deploy of a test is the one that fails.
    """
    test, _, phase = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")
    verb = (test.partition("[")[0], *arguments[:2])
    if phase != "(call)" or _MEASURED[verb] >= times:
        return untraced(variables)
    _MEASURED[verb] += 1
    return dict(variables)
