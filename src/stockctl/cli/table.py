"""A table as text: lined up for a pipe, and on two lines a row where the terminal is narrow."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

GAP = "  "
INDENT = "    "
LAST = 20  # characters: a last column that gets as much may be folded into it


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, and the colour it is shown in."""

    cells: tuple[str, ...]
    style: str = ""


Styled = tuple[str, str]  # a line and the colour it is shown in


def aligned(columns: Sequence[str], rows: Sequence[Row]) -> list[Styled]:
    """Each row on one line, without folding: for a pipe, and where there are many. What rich would
    print, a hundred times as fast."""
    lines = _lines(columns, rows)
    widths = _widths(lines)
    styles = ["bold", *(row.style for row in rows)]
    return [(_padded(cells, widths), style) for cells, style in zip(lines, styles, strict=True)]


def spilled(columns: Sequence[str], rows: Sequence[Row], width: int) -> list[Styled] | None:
    """For a terminal that is too narrow: as many columns as fit, and what is left of a row beneath
    it, each with its name. None where the columns fit, or only the last one has to fold."""
    lines = _lines(columns, rows)
    widths = _widths(lines)
    if sum(widths[:-1]) + len(GAP) * (len(widths) - 1) + min(LAST, widths[-1]) <= width:
        return None
    fit = 1
    while sum(widths[: fit + 1]) + len(GAP) * fit <= width:
        fit += 1
    told = [(_padded(columns[:fit], widths), "bold")]
    for row, cells in zip(rows, lines[1:], strict=True):
        told.append((_padded(cells[:fit], widths), row.style))
        left = zip(columns[fit:], cells[fit:], strict=True)
        named = [f"{name.lower()}: {cell}" if name else cell for name, cell in left if cell]
        beneath = textwrap.wrap(
            " · ".join(named), width, initial_indent=INDENT, subsequent_indent=INDENT
        )
        told += [(line, row.style) for line in beneath]
    return told


def _lines(columns: Sequence[str], rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [tuple(columns), *(tuple(map(_on_one_line, row.cells)) for row in rows)]


def _widths(lines: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(map(_columns_of, column)) for column in zip(*lines, strict=True)]


def _columns_of(cell: str) -> int:
    if cell.isascii():
        return len(cell)
    from rich.cells import cell_len

    return cell_len(cell)


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    pairs = zip(cells, widths, strict=False)  # the widths of all columns, of which these are first
    return GAP.join(cell + " " * (width - _columns_of(cell)) for cell, width in pairs).rstrip()


def _on_one_line(cell: str) -> str:
    return cell.replace("\n", " ")
