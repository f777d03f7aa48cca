"""In which order the tests go to the workers of a run: what takes long first.

`--dist worksteal` cuts the list into one piece for each worker, in its order, and lets who has
ended take from the end of another's. In the order of the folders one worker would have all of
`e2e`, in pieces of a minute, when the others have nothing left to take.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pytest

# Seconds of a test on a quiet machine, roughly; the longest name that fits counts.
COSTS = {
    "tests/e2e": 16.0,
    "tests/e2e/far": 20.0,
    "tests/e2e/rolling": 14.0,
    "tests/e2e/ops": 8.0,
    "tests/integration": 0.8,
    "tests/integration/backup": 2.0,
    "tests/integration/cli": 2.0,
    "tests/integration/db/proof": 4.0,
    "tests/contract": 0.5,
}
OTHERS = 0.02
# Their tests share something that is dear to make, and stay together.
TOGETHER = ("tests/e2e/far",)


def cost(name: str) -> float:
    """Of a test, by its node id or its file."""
    fits = [folder for folder in COSTS if name.startswith(f"{folder}/")]
    return COSTS[max(fits, key=len)] if fits else OTHERS


def dealt(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """All of them: as many for each worker, about as much work, the dear ones first. A file, or a
    folder of TOGETHER, is in one piece, but for cheap tests, which fill the pieces up."""
    groups = [list(group) for _, group in groupby(items, key=lambda item: _group(item.nodeid))]
    groups.sort(key=lambda group: (-cost(group[0].nodeid), -len(group)))
    hands: list[list[pytest.Item]] = [[] for _ in range(workers)]
    work = [0.0] * workers
    for group in groups:
        if cost(group[0].nodeid) > OTHERS:
            least = work.index(min(work))
            hands[least] += group
            work[least] += cost(group[0].nodeid) * len(group)
    cheap = [item for group in groups if cost(group[0].nodeid) == OTHERS for item in group]
    for number, hand in enumerate(hands):
        # as xdist cuts them: scheduler/worksteal.py, check_schedule
        before = sum(len(each) for each in hands[:number])
        size = (len(items) - before) // (workers - number)
        wanted = max(0, size - len(hand))
        hand += cheap[:wanted]
        del cheap[:wanted]
    return [item for hand in hands for item in hand] + cheap


def _group(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)
