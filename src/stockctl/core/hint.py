"""Commands in hints, to be typed as they stand.

Where no environment is known, a text says `stockctl db status ENV`. Whoever shows it knows which.
"""

from __future__ import annotations

import re

ENV = "ENV"
WRITABLE = (
    "Everything that stockctl records is there. Mount it, make it writable for the user who runs"
    " stockctl, or name another folder: host.directory."
)


def addressed(text: str, environment: str | None) -> str:
    """`text` with the environment's name in each command that waits for one; as it is without."""
    if not environment or ENV not in text:
        return text
    commands = rf"(?<![\w-])(stockctl(?: [a-z]+){{1,2}}) {ENV}\b"
    return re.sub(commands, lambda found: f"{found[1]} {environment}", text)
