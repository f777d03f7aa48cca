"""What `db inspect` found, as a person reads it: a table a section, below each row what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stockctl.cli.findings import Line
from stockctl.cli.inspect_columns import VIEWS, View
from stockctl.core.units import format_duration

if TYPE_CHECKING:
    from stockctl.db.inspect.overview import Inspection, Section
    from stockctl.db.inspect.reading import Note

Clean = Callable[[str], str]
FEW = 5  # rows of a section in the overview
NARROWEST = 12  # columns for a name, however little room there is
GAP = "  "


def shown(found: Inspection, clean: Clean, width: int, *, short: bool) -> Iterator[Line]:
    """`short`: only what wants something, and little of it; the rest in one line."""
    facts = found.facts
    version = f"{facts.version // 10_000}.{facts.version % 10_000}"
    told = [facts.database, f"PostgreSQL {version}", _in_use(found) if short else ""]
    told.append(f"statistics of {format_duration(facts.counted_s)}")
    yield ((clean(", ".join(filter(None, told))), "bold"),)
    yield from _noted(found.notes, clean, width)
    well = []
    for section in found.sections:
        if short and not section.wanting and not section.notes:
            well.append(VIEWS[section.key].title[0].lower() + VIEWS[section.key].title[1:])
        else:
            yield ()
            yield from _section(section, clean, width, short=short)
    if well:
        yield ()
        yield from _wrapped(f"Nothing to do: {', '.join(well)}.", "", width, "green")


def _in_use(found: Inspection) -> str:
    rooms: list[Any] = [row for each in found.sections if each.key == "connections"
                        for row in each.rows]  # fmt: skip
    return "".join(f"{room.used} of {room.maximum} connections" for room in rooms)


def _section(section: Section, clean: Clean, width: int, *, short: bool) -> Iterator[Line]:
    view = VIEWS[section.key]
    rows = section.wanting[:FEW] if short else section.rows
    yield ((view.title, "bold"),)
    yield from _noted(section.notes, clean, width)
    if rows:
        yield from _table(view, rows, clean, width)
    elif not section.notes:
        yield ((f"{GAP}none", ""),)
    left = len(section.wanting) - len(rows)
    if short and left > 0:
        yield ((f"{GAP}and {left} more: stockctl db inspect ENV --{section.part}", ""),)


def _noted(notes: Sequence[Note], clean: Clean, width: int) -> Iterator[Line]:
    for note in notes:
        advice = f": {note.advice}" if note.advice else ""
        yield from _wrapped(clean(f"{note.message}{advice}"), GAP, width, "yellow")


def _table(view: View, rows: Sequence[Any], clean: Clean, width: int) -> Iterator[Line]:
    head = view.head.split()
    right = [word.startswith(">") for word in head]
    names = [word.removeprefix(">").replace("_", " ") for word in head]
    cells = [[clean(cell) for cell in view.cells(row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    _shrink(widths, right, width)
    yield ((_line(names, widths, right), "dim"),)
    for row, texts in zip(rows, cells, strict=True):
        yield ((_line(texts, widths, right), ""),)
        below = clean(view.below(row))
        if below:
            yield ((_cut(f"{GAP}{GAP}{below}", width), "dim"),)
        if row.advice:
            yield from _wrapped(f"→ {clean(row.advice)}", GAP, width, "cyan")


def _shrink(widths: list[int], right: list[bool], width: int) -> None:
    """The widest text gives way, not the numbers; its advice has it in full."""
    texts = [index for index, of_number in enumerate(right) if not of_number]
    while texts and sum(widths) + len(GAP) * len(widths) > width:
        widest = max(texts, key=lambda index: widths[index])
        if widths[widest] <= NARROWEST:
            return
        widths[widest] -= 1


def _line(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        text.rjust(width) if to_right else _cut(text, width).ljust(width)
        for text, width, to_right in zip(texts, widths, right, strict=True)
    )
    return f"{GAP}{GAP.join(padded)}".rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _wrapped(text: str, indent: str, width: int, style: str) -> Iterator[Line]:
    """Broken at spaces only: what is copied must still be SQL."""
    within = textwrap.TextWrapper(
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}  " if indent else "",
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in within.wrap(text):
        yield ((line, style),)
