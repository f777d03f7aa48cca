"""Signs on a terminal, or in a log, that has no Unicode: `ok` for a tick, and no `\\u2713`."""

from __future__ import annotations

import codecs

NAME = "stockctl.plain"  # of the error handler
_SIGNS = {
    "✓": "ok",
    "✗": "x",
    "→": "->",
    "…": "...",
    "·": "-",
    "—": "-",
    "≠": "!=",
    "└": "`-",
    "░": ".",
    **dict(zip("▁▂▃▄▅▆▇█", "_.-=+*%#", strict=True)),
}


def register() -> None:
    """Makes NAME known as what a stream does with a character that its encoding lacks."""
    codecs.register_error(NAME, _plain)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIGNS.get(each) or _escaped(each) for each in lacking), error.end


def _escaped(char: str) -> str:
    return char.encode("ascii", "backslashreplace").decode()
