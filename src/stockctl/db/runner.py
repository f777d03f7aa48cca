"""Applies migrations: yoyo's ledger, made atomic.

A migration is one transaction with everything that is written about it. Whatever ends a run in
the middle (an error, Ctrl-C, kill -9, the network) leaves each migration applied or not applied;
one that cannot run in a transaction may be left `dirty`, which the next run or a person mends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stockctl.core.clock import Clock, SystemClock
from stockctl.core.progress import Progress
from stockctl.db.failure import Source, blamed_on, said_before
from stockctl.db.ledger import compare
from stockctl.db.lock import LOCK_WAIT_S
from stockctl.db.migration import Migration
from stockctl.db.outside import Notes, clear_away, run_outside
from stockctl.db.patience import Patience
from stockctl.db.plan import MigratePlan, plan_migrate, plan_rollback
from stockctl.db.record import Record, Stage, forgotten, read_records, recorded
from stockctl.db.reversing import Reverted, rollback
from stockctl.db.session import Limits, Session, open_session
from stockctl.db.yoyo_ledger import marked
from stockctl.system.postgres import Database

__all__ = ["Applied", "Reverted", "migrate", "plan_migrate", "plan_rollback", "rollback"]

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that this run applied."""

    id: str
    duration_s: float


def migrate(
    database: Database,
    plan: MigratePlan,
    *,
    progress: Progress,
    lock_timeout_s: float,
    statement_timeout_s: float,
    lock_retry_s: float = 0.0,
    lock_wait_s: float = LOCK_WAIT_S,
    clock: Clock = _CLOCK,
) -> tuple[Applied, ...]:
    """Applies the plan, one migration after the other; stops at the first that fails.

    The plan is made again under the lock: what somebody else has applied meanwhile is left out,
    what nobody was shown is not applied. Raises Locked, Refused and MigrationFailed.
    """
    if not plan.migrations:
        return ()
    limits = Limits(lock_timeout_s, statement_timeout_s, lock_retry_s)
    done: list[Applied] = []
    with open_session(database, limits, clock, lock_wait_s) as session:
        patience = Patience(lock_retry_s, clock, progress, session.watch)
        for migration, before in _still_to_do(plan, read_records(session.connection)):
            started = clock.monotonic()
            with progress.step(f"apply {migration.id}"), said_before(len(done), "applied"):
                _apply(session, migration, before, patience)
            done.append(Applied(migration.id, clock.monotonic() - started))
    return tuple(done)


def _still_to_do(
    plan: MigratePlan, found: tuple[Record, ...]
) -> Iterator[tuple[Migration, Record | None]]:
    """Each with what an attempt left behind."""
    shown = {migration.id for migration in plan.migrations}
    records = {record.id: record for record in found}
    fresh = plan_migrate(
        compare(plan.known, found),
        plan.known,
        to=plan.to,
        phase=plan.phase,
        allow_out_of_order=plan.allow_out_of_order,
    )
    for migration in fresh.migrations:
        if migration.id in shown:
            yield migration, records.get(migration.id)


def _apply(
    session: Session, migration: Migration, dirty: Record | None, patience: Patience
) -> None:
    script = Source(migration.id, str(migration.path), migration.up)
    if migration.transactional:
        if dirty is not None:
            clear_away(session, dirty, migration.up)
        patience.insist(migration.id, lambda: _in_a_transaction(session, script, migration))
        return
    started = patience.clock.monotonic()
    if dirty is None or not clear_away(session, dirty, migration.up):
        _outside(session, script, migration, patience)
    duration_s = patience.clock.monotonic() - started
    with blamed_on(script):
        session.record(_marks(session, migration, duration_s))


def _marks(session: Session, migration: Migration, duration_s: float | None = None) -> bytes:
    row = recorded(session.connection, migration, Stage.APPLIED, session.who, duration_s)
    return marked(session.connection, migration.id, session.who, row)


def _in_a_transaction(session: Session, script: Source, migration: Migration) -> None:
    """A script that goes on past its end cannot be read by the server: it says why, alone."""
    marks = _marks(session, migration)
    with blamed_on(script), session.all_or_nothing():
        if migration.statements is not None:
            session.apply(script, migration.statements, marks)
            return
        with session.transaction():
            session.run(script.id, script.file, script.text)
            session.finish(marks)


def _outside(session: Session, script: Source, migration: Migration, patience: Patience) -> None:
    connection = session.connection
    notes = Notes(
        Stage.APPLYING,
        recorded(connection, migration, Stage.APPLYING, session.who),
        forgotten(connection, migration.id),
    )
    run_outside(session, script, notes, patience)
