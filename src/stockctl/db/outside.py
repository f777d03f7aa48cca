"""Statements that cannot run in a transaction: what is left of them when they fail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import psycopg

from stockctl.core.errors import MigrationFailed
from stockctl.db.blockers import Blocker, listed
from stockctl.db.concurrently import ConcurrentIndex, concurrent_index, drop_index, find_index
from stockctl.db.failure import Source
from stockctl.db.ledger import dirty_advice
from stockctl.db.patience import Patience, held_by
from stockctl.db.record import Record, Stage
from stockctl.db.session import Session
from stockctl.db.statements import split

# One transaction of the server's own each, when CONCURRENTLY is not in it: all of it or nothing.
# Not CALL, DO, VACUUM, CLUSTER and REINDEX, which may commit on the way, nor what reaches out of
# the database (subscriptions, tablespaces).
_KINDS = "TABLE|INDEX|TYPE|SEQUENCE|DOMAIN|VIEW|MATERIALIZED VIEW"
_ATOMIC = re.compile(rf"(?:ALTER|DROP) (?:{_KINDS}) |CREATE (?:UNIQUE )?INDEX ")


@dataclass(frozen=True, slots=True)
class Notes:
    """SQL that says how it stands with a statement: it runs, or nothing of it happened."""

    stage: Stage
    running: bytes
    nothing: bytes


def run_outside(session: Session, script: Source, notes: Notes, patience: Patience) -> None:
    """One statement, by itself, noted as running before.

    For an index CONCURRENTLY a wait for locks is not cut short: it keeps nobody from reading or
    writing, and giving up would leave an invalid index; it is told for whom it waits. Any other
    gives way after `lock_timeout`, and is tried again where it is certain that nothing happened.
    Raises MigrationFailed; where that is not certain, the note stays: the migration is dirty.
    """

    def attempt() -> None:
        session.record(notes.running)
        _attempt(session, script, notes, patience)

    patience.insist(script.id, attempt)


def _attempt(session: Session, script: Source, notes: Notes, patience: Patience) -> None:
    index = concurrent_index(script.text)
    session.settle(patient=index is not None)

    def tell(blockers: Sequence[Blocker]) -> None:
        patience.progress.say(f"  {script.id} waits for a lock{held_by(blockers)}")

    telling = session.watch.telling(tell) if session.watch and index else nullcontext()
    try:
        with telling:
            session.run(script.id, script.file, script.text)
        _check_valid(session, script)
    except MigrationFailed as error:
        if session.connection.broken or not _untouched(session, script.text, error):
            _explain(session, script, notes.stage, error)
        else:
            session.record(notes.nothing)
        raise


def _check_valid(session: Session, script: Source) -> None:
    """`IF NOT EXISTS` takes an invalid index of that name for a good one."""
    index = concurrent_index(script.text)
    found = find_index(session.connection, index) if index else None
    if found and not found.valid:
        raise MigrationFailed(f"{script.id}: the index {found.name} is there, but it is invalid")


def _untouched(session: Session, text: str, error: MigrationFailed) -> bool:
    """Certain that the statement changed nothing, or nothing is left of it."""
    cause = error.__cause__
    index = concurrent_index(text)
    if index and index.name:
        found = find_index(session.connection, index)
        if found and not found.valid and isinstance(cause, psycopg.errors.DeadlockDetected):
            return _withdrawn(session, index)
        return found is None or found.valid
    if not isinstance(cause, psycopg.Error):
        return False
    # PostgreSQL gives a position for what it found while reading the statement
    refused = (cause.sqlstate or "").startswith("42") and bool(cause.diag.statement_position)
    return refused or _atomic(text)


def _atomic(text: str) -> bool:
    statements = split(text)
    head = " ".join(statements[0].head) if len(statements) == 1 else ""
    return bool(_ATOMIC.match(head)) and "CONCURRENTLY" not in text.upper()


def _withdrawn(session: Session, index: ConcurrentIndex) -> bool:
    """Two builds that met: this one gives way, and can begin again. The index was its own."""
    try:
        found = find_index(session.connection, index)
        if found and not found.valid:
            session.settle(patient=True)
            drop_index(session.connection, found)
    except psycopg.Error:
        return False
    return True


def _explain(session: Session, script: Source, stage: Stage, error: MigrationFailed) -> None:
    error.dirty = True
    waited = listed(session.watch.seen) if session.watch else ""
    left = _left(session, script.text)
    error.details = "\n".join(filter(None, (error.details, waited, left)))
    advice = dirty_advice(script.id, stage, script.text)
    error.hint = f"{script.id} is dirty now. Mend the cause, then {advice}."


def _left(session: Session, text: str) -> str:
    index = concurrent_index(text)
    if session.connection.broken or index is None:
        return ""
    found = find_index(session.connection, index)
    return f"It left an invalid index behind: {found.name}" if found else ""


def clear_away(session: Session, record: Record, text: str) -> bool:
    """What an attempt left behind. True when nothing is left to do: its index is complete."""
    index = concurrent_index(record.running or "")
    found = find_index(session.connection, index) if index else None
    if found and not found.valid:
        session.settle(patient=True)
        drop_index(session.connection, found)
    return found is not None and found.valid and record.running == text
