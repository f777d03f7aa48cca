"""`stockctl db inspect`."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stockctl.cli.db import app
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.units import format_instant

if TYPE_CHECKING:
    from stockctl.db.inspect.overview import Inspection, Section


@verb(app, "inspect", example="stockctl db inspect staging --indexes", exits=(3, 6, 7))
def inspect(
    session: Session,
    name: str,
    slow: Annotated[bool, typer.Option("--slow", help="Queries that take the time.")] = False,
    indexes: Annotated[
        bool, typer.Option("--indexes", help="Unused, superfluous, invalid, missing ones.")
    ] = False,
    locks: Annotated[bool, typer.Option("--locks", help="Who waits for whom.")] = False,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Tables, sequences, transaction numbers, slots.")
    ] = False,
    connections: Annotated[
        bool, typer.Option("--connections", help="Who is connected, and what is open for long.")
    ] = False,
) -> Result:
    """Shows what the database suffers from, each with what to do. Reads only.

    Without an option: what wants something, of everything. Values in queries are never shown.
    """
    from stockctl.cli.inspect_view import shown
    from stockctl.db.inspect.overview import Part
    from stockctl.db.inspect.overview import inspect as look

    flags = (locks, connections, slow, indexes, sizes)
    parts = [part for part, chosen in zip(Part, flags, strict=True) if chosen]
    with open_environment(session, name).database() as database:
        found = look(database, parts or tuple(Part))
    output = session.output
    output.lines(shown(found, output.clean, output.width, short=not parts))
    return Result(_data(found))


def _data(found: Inspection) -> dict[str, Any]:
    facts = found.facts
    return {
        "database": facts.database,
        "server_version": facts.version,
        "counted_since": format_instant(facts.counted_since),
        **{section.key: [_row(row) for row in section.rows] for section in found.sections},
        "notes": [
            asdict(note)
            for notes in (found.notes, *(section.notes for section in found.sections))
            for note in notes
        ],
        "to_do": sum(map(_wanting, found.sections)),
    }


def _wanting(section: Section) -> int:
    return len(section.wanting)


def _row(row: object) -> dict[str, Any]:
    assert is_dataclass(row) and not isinstance(row, type)
    return {
        key: format_instant(value) if isinstance(value, datetime) else value
        for key, value in asdict(row).items()
    }
