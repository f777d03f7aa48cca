"""`data[0].id` in a JSON document."""

from __future__ import annotations

import re
from typing import Any

_STEP = re.compile(r"\[(-?[0-9]+)\]|([^.\[\]]+)")
MISSING: Any = object()


def find(document: Any, path: str) -> Any:
    """What is at `path`, or MISSING. `$`, or nothing, is the whole document; indexes may count
    from the end."""
    at = document
    for step in _STEP.finditer(path.removeprefix("$")):
        index, key = step.groups()
        try:
            if index is None:
                if not isinstance(at, dict):
                    return MISSING
                at = at[key]
            elif isinstance(at, list):
                at = at[int(index)]
            else:
                return MISSING
        except (KeyError, IndexError):
            return MISSING
    return at
