"""`${NAME}` in compose files, as Compose fills it in."""

from __future__ import annotations

import re
from collections.abc import Mapping

# https://docs.docker.com/reference/compose-file/interpolation/
REFERENCE = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<more>[^}]*)"
    r"|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))"
)


def interpolate(written: str, values: Mapping[str, str]) -> str:
    """`${X}`, `${X:-default}` and `${X-default}` filled in; what has no value becomes empty."""

    def fill(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        value = values.get(found["braced"] or found["bare"])
        more = found["more"] or ""
        colon = more.startswith(":")
        operator, default = more.removeprefix(":")[:1], more.removeprefix(":")[1:]
        absent = not value if colon else value is None
        if operator == "-" and absent:
            return default
        if operator == "+":
            return "" if absent else default
        return value or ""

    return re.sub(REFERENCE.pattern + r"\}?", fill, written)


def names_in(written: str) -> tuple[str, ...]:
    """The variables in a text."""
    found = (match["braced"] or match["bare"] for match in REFERENCE.finditer(written))
    return tuple(name for name in found if name)
