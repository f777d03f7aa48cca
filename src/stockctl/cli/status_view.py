"""The screen of `stockctl status`: calm, one line a piece, the next command at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from stockctl.cli.findings import Line
from stockctl.deploy.overview.gather import Overview
from stockctl.deploy.overview.part import Level, Part

_MARKS = {
    Level.GOOD: ("✓", "green"),
    Level.NOTICE: ("!", "yellow"),
    Level.BAD: ("✗", "bold red"),
    Level.UNKNOWN: ("?", "magenta"),
}
_TEXT = {Level.GOOD: "", Level.NOTICE: "yellow", Level.BAD: "red", Level.UNKNOWN: "magenta"}
_NAME = 12  # columns of a piece's name
_INDENT = " " * (_NAME + 2)
Clean = Callable[[str], str]


def screen(overview: Overview, title: str, now: datetime, clean: Clean, width: int) -> list[Line]:
    """`width`: columns; a longer line is cut where it is a terminal."""
    when = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    gap = max(2, min(width, 78) - len(title) - len(when))
    lines: list[Line] = [((title, "bold"), (" " * gap, ""), (when, "dim")), ()]
    for part in overview.parts:
        if part.name == "last":
            lines.append(())
        lines += _part(part, clean, width)
    lines.append(())
    lines += _advice(overview, clean, width)
    return lines


def _part(part: Part, clean: Clean, width: int) -> Iterator[Line]:
    if not part.said:
        return
    quiet = part.name == "last" and part.level is Level.GOOD
    mark, colour = (" ", "") if quiet else _MARKS[part.level]
    style = "dim" if quiet else _TEXT[part.level]
    first, *more = part.said
    yield (mark, colour), (f" {part.name:<{_NAME}}", "bold"), (_cut(clean(first), width), style)
    for text in more:
        yield (_INDENT, ""), (_cut(clean(text), width), style)


def _advice(overview: Overview, clean: Clean, width: int) -> Iterator[Line]:
    if not overview.advice:
        if overview.well:
            yield (("all is well", "bold green"),)
        else:
            yield (("something is not well, and nobody can say more", "bold red"),)
        return
    for each in overview.advice:
        yield ("→ ", "cyan"), (clean(each.command), "bold cyan")
        yield (("  " + _cut(clean(each.why), width, 2), "" if each.level is Level.BAD else "dim"),)


def _cut(text: str, width: int, before: int = len(_INDENT)) -> str:
    text = " ".join(text.split("\n"))
    room = max(20, width - before)
    return text if len(text) <= room else text[: room - 1] + "…"
