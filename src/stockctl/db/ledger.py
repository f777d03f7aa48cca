"""What a database has applied, and how that differs from the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stockctl.db.concurrently import concurrent_index
from stockctl.db.migration import Migration, Phase
from stockctl.db.record import TABLE, Record, Stage, read_highest, read_records
from stockctl.system.postgres import Database, errors


class State(StrEnum):
    """How a migration stands."""

    APPLIED = "applied"
    PENDING = "pending"
    CHANGED = "changed"
    MISSING = "missing"
    OUT_OF_ORDER = "out_of_order"
    DIRTY = "dirty"


BLOCKING = frozenset({State.CHANGED, State.MISSING, State.OUT_OF_ORDER, State.DIRTY})


@dataclass(frozen=True, slots=True)
class Entry:
    """One migration; `advice` is what to do about it, empty when there is nothing to do."""

    id: str
    state: State
    phase: Phase
    transactional: bool
    reversible: bool
    applied_at: datetime | None
    applied_by: str | None
    advice: str
    record: Record | None

    @property
    def resumable(self) -> bool:
        """Dirty, but its statement can be cleared away and run again without a person."""
        running = self.record.running if self.record else None
        return running is not None and concurrent_index(running) is not None

    @property
    def stage(self) -> Stage | None:
        return self.record.stage if self.record else None


@dataclass(frozen=True, slots=True)
class Status:
    """All migrations that the files or the database know, by number.

    `applied` is the order of application. `head` is the highest number that is applied.
    """

    entries: tuple[Entry, ...]
    applied: tuple[Entry, ...]
    head: str | None

    @property
    def pending(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.state is State.PENDING)

    @property
    def blocking(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.state in BLOCKING)


def read_status(database: Database, migrations: Sequence[Migration]) -> Status:
    """Reads, and creates nothing. Raises DatabaseUnreachable and DatabaseFailed."""
    with database.connect() as connection, errors(f"read the migrations of {database.dsn}"):
        return compare(migrations, read_records(connection))


def read_head(database: Database) -> str | None:
    """The highest number that is applied. Raises as `read_status` does."""
    with database.connect() as connection, errors(f"read the migrations of {database.dsn}"):
        return read_highest(connection)


def compare(migrations: Sequence[Migration], records: Sequence[Record]) -> Status:
    """What the files and the database have to say to each other."""
    files = {migration.id: migration for migration in migrations}
    known = {record.id: record for record in records}
    applied = [record.id for record in records if record.marked]
    head = max(applied, default=None)
    entries = {
        identity: _entry(identity, files.get(identity), known.get(identity), head)
        for identity in sorted(files.keys() | known.keys())
    }
    return Status(tuple(entries.values()), tuple(entries[each] for each in applied), head)


def _entry(identity: str, file: Migration | None, record: Record | None, head: str | None) -> Entry:
    state = _state(identity, file, record, head)
    down = file.down if file else None
    return Entry(
        id=identity,
        state=state,
        phase=file.phase if file else Phase((record and record.phase) or Phase.EXPAND),
        transactional=bool(file.transactional if file else record and record.transactional),
        reversible=(down or (record and record.down)) is not None,
        applied_at=record.applied_at if record else None,
        applied_by=record.applied_by if record else None,
        advice=_advice(state, identity, record, head),
        record=record,
    )


def _state(identity: str, file: Migration | None, record: Record | None, head: str | None) -> State:
    if record is None:
        # contract migrations stay behind on purpose, while later expand ones are applied
        late = head is not None and identity < head
        contract = file is not None and file.phase is Phase.CONTRACT
        return State.OUT_OF_ORDER if late and not contract else State.PENDING
    if record.stage is not Stage.APPLIED:
        return State.DIRTY
    if file is None:
        return State.MISSING
    changed = record.checksum is not None and record.checksum != file.checksum
    return State.CHANGED if changed else State.APPLIED


def _advice(state: State, identity: str, record: Record | None, head: str | None) -> str:
    repair = f"stockctl db repair ENV --migration {identity} --as"
    match state:
        case State.CHANGED:
            return (
                f"restore the file as it was applied (SELECT up FROM {TABLE} WHERE id ="
                f" '{identity}') and put the change into a new migration: stockctl db new NAME;"
                f" or, where the schema stays the same: {repair} accepted"
            )
        case State.MISSING:
            return (
                f"bring {identity}.sql back, or work from the version that has it; where it is"
                f" gone for good, and what it did too: {repair} reverted"
            )
        case State.OUT_OF_ORDER:
            return (
                f"give it a number after {head}: it came later; or apply it as it is:"
                " stockctl db migrate ENV --allow-out-of-order"
            )
        case State.DIRTY if record is not None:
            return dirty_advice(identity, record.stage, record.running or "")
        case State.APPLIED if record is not None and record.checksum is None:
            return f"applied without checksum, by plain yoyo; to have one: {repair} accepted"
        case _:
            return ""


def dirty_advice(identity: str, stage: Stage, running: str) -> str:
    """The way out of a statement that ran outside a transaction and did not end well."""
    verb = "migrate" if stage is Stage.APPLYING else "rollback"
    if concurrent_index(running):
        return f"run stockctl db {verb} ENV again: it clears away what is left and starts over"
    return (
        "look whether its statement took effect, undo by hand what did by half, then say how it"
        f" is: stockctl db repair ENV --migration {identity} --as applied|reverted"
    )
