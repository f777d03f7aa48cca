"""All of it, or a part: sections in the order in which a person in trouble wants them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, cast

import psycopg

from stockctl.db.inspect.connections import (
    read_groups,
    read_prepared,
    read_room,
    read_sessions,
)
from stockctl.db.inspect.duplicates import read_duplicates
from stockctl.db.inspect.ends import read_sequences, read_slots, read_wraparound
from stockctl.db.inspect.indexes import read_foreign_keys, read_invalid, read_unused
from stockctl.db.inspect.limits import DEFAULTS, Limits
from stockctl.db.inspect.locks import read_locks
from stockctl.db.inspect.reading import Facts, Note, Reader, open_reader
from stockctl.db.inspect.slow import read_slow
from stockctl.db.inspect.tables import read_scans, read_tables
from stockctl.system.postgres import Database


class Part(StrEnum):
    """What one may ask for."""

    LOCKS = "locks"
    CONNECTIONS = "connections"
    SLOW = "slow"
    INDEXES = "indexes"
    SIZES = "sizes"


class Row(Protocol):
    """What was found; `advice` is empty where there is nothing to do."""

    @property
    def advice(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of one kind. `key` names it in JSON."""

    part: Part
    key: str
    rows: tuple[Row, ...]
    notes: tuple[Note, ...] = ()

    @property
    def wanting(self) -> tuple[Row, ...]:
        """Those with something to do."""
        return tuple(row for row in self.rows if row.advice)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was seen of a database at a moment."""

    facts: Facts
    sections: tuple[Section, ...]
    notes: tuple[Note, ...] = ()

    def section(self, key: str) -> Section:
        """Raises KeyError."""
        for section in self.sections:
            if section.key == key:
                return section
        raise KeyError(key)


def inspect(
    database: Database, parts: Collection[Part] = tuple(Part), limits: Limits = DEFAULTS
) -> Inspection:
    """Reads only. Raises DatabaseFailed, DatabaseUnreachable."""
    with open_reader(database) as reader:
        found = [
            _read(reader, limits, part, key, read) for part, key, read in _READ if part in parts
        ]
        return Inspection(reader.facts, tuple(found), _hidden(reader.facts, parts))


def _hidden(facts: Facts, parts: Collection[Part]) -> tuple[Note, ...]:
    """https://www.postgresql.org/docs/current/predefined-roles.html"""
    if facts.sees_all or not {Part.LOCKS, Part.CONNECTIONS, Part.SLOW} & set(parts):
        return ()
    message = f"{facts.user} does not see what others do: their sessions and queries are hidden"
    return (Note("", message, f"GRANT pg_monitor TO {facts.user}; as a superuser"),)


def _read(reader: Reader, limits: Limits, part: Part, key: str, read: Read) -> Section:
    """Sizes are not told of a table that somebody has locked: that must not hide the rest."""
    try:
        rows, notes = read(reader, limits)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
        told = error.diag.message_primary or str(error)
        note = Note(key, f"not read: {told}", "stockctl db inspect ENV --locks, and try again")
        return Section(part, key, (), (note,))
    return Section(part, key, cast("tuple[Row, ...]", tuple(rows)), tuple(notes))


Read = Callable[[Reader, Limits], tuple[Sequence[object], Sequence[Note]]]
_READ: tuple[tuple[Part, str, Read], ...] = (
    (Part.LOCKS, "locks", lambda r, _: (read_locks(r), ())),
    (Part.CONNECTIONS, "connections", lambda r, limits: (read_room(r, limits), ())),
    (Part.CONNECTIONS, "connection_groups", lambda r, _: (read_groups(r), ())),
    (Part.CONNECTIONS, "long_sessions", lambda r, limits: (read_sessions(r, limits), ())),
    (Part.CONNECTIONS, "prepared_transactions", lambda r, limits: (read_prepared(r, limits), ())),
    (Part.SLOW, "slow_queries", read_slow),
    (Part.INDEXES, "invalid_indexes", lambda r, _: (read_invalid(r), ())),
    (Part.INDEXES, "duplicate_indexes", lambda r, _: (read_duplicates(r), ())),
    (Part.INDEXES, "unused_indexes", read_unused),
    (Part.INDEXES, "unindexed_foreign_keys", lambda r, _: (read_foreign_keys(r), ())),
    (Part.INDEXES, "sequential_scans", lambda r, limits: (read_scans(r, limits), ())),
    (Part.SIZES, "tables", lambda r, limits: (read_tables(r, limits), ())),
    (Part.SIZES, "sequences", lambda r, limits: (read_sequences(r, limits), ())),
    (Part.SIZES, "wraparound", lambda r, limits: (read_wraparound(r, limits), ())),
    (Part.SIZES, "replication_slots", lambda r, limits: (read_slots(r, limits), ())),
)
