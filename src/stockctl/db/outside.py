"""Statements that cannot run in a transaction: what is left of them when they fail."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from stockctl.core.errors import MigrationFailed
from stockctl.db.concurrently import concurrent_index, drop_index, find_index
from stockctl.db.failure import Source
from stockctl.db.ledger import dirty_advice
from stockctl.db.record import Record, Stage
from stockctl.db.session import Session


def run_outside(session: Session, script: Source, stage: Stage, forget: Callable[[], None]) -> None:
    """One statement, by itself. The caller has noted `stage`; `forget` takes that note back.

    A wait for locks is not cut short for CONCURRENTLY: it keeps nobody from writing, and giving
    up would leave an invalid index. Raises MigrationFailed; unless it is certain that nothing
    happened, the note stays, and the migration is dirty.
    """
    text = script.text
    index = concurrent_index(text)
    session.settle(patient=index is not None)
    try:
        session.run(script.id, script.file, script.text)
        _check_valid(session, script)
    except MigrationFailed as error:
        if session.connection.broken or not _untouched(session, text, error):
            advice = dirty_advice(script.id, stage, text)
            error.details = "\n".join(filter(None, (error.details, _left(session, text))))
            error.hint = f"{script.id} is dirty now. Mend the cause, then {advice}."
        else:
            forget()
        raise


def _check_valid(session: Session, script: Source) -> None:
    """`IF NOT EXISTS` takes an invalid index of that name for a good one."""
    index = concurrent_index(script.text)
    found = find_index(session.connection, index) if index else None
    if found and not found.valid:
        raise MigrationFailed(f"{script.id}: the index {found.name} is there, but it is invalid")


def _untouched(session: Session, text: str, error: MigrationFailed) -> bool:
    """Certain that the statement changed nothing."""
    cause = error.__cause__
    index = concurrent_index(text)
    if index and index.name:
        found = find_index(session.connection, index)
        return found is None or found.valid
    # PostgreSQL gives a position for what it found while reading the statement
    refused = isinstance(cause, psycopg.Error) and (cause.sqlstate or "").startswith("42")
    return refused and isinstance(cause, psycopg.Error) and bool(cause.diag.statement_position)


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
