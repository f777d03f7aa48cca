"""Takes migrations back with their down scripts, after all of them were rehearsed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import psycopg

from stockctl.core.clock import Clock, SystemClock
from stockctl.core.errors import MigrationFailed, Refused
from stockctl.core.progress import Progress
from stockctl.db.failure import Source, blamed_on, said_before
from stockctl.db.lock import LOCK_WAIT_S
from stockctl.db.loss import Target, dropped, lock_targets, losses, read_columns, refuse
from stockctl.db.outside import Notes, clear_away, run_outside
from stockctl.db.patience import Patience
from stockctl.db.plan import Reversal, RollbackPlan
from stockctl.db.record import Record, Stage, forgotten, read_records, staged
from stockctl.db.session import Limits, Session, open_session
from stockctl.db.yoyo_ledger import unmarked
from stockctl.system.postgres import Database

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Reverted:
    """A migration that this run took back."""

    id: str
    duration_s: float


def rollback(
    database: Database,
    plan: RollbackPlan,
    *,
    progress: Progress,
    allow_data_loss: bool,
    lock_timeout_s: float,
    statement_timeout_s: float,
    lock_retry_s: float = 0.0,
    lock_wait_s: float = LOCK_WAIT_S,
    clock: Clock = _CLOCK,
) -> tuple[Reverted, ...]:
    """Runs the down scripts of the plan, last applied first.

    Before the first one all of them are rehearsed in a transaction that is rolled back: a script
    that fails, and tables or columns that hold something and would go, are found while nothing
    has changed. Raises Locked, Refused and MigrationFailed.
    """
    limits = Limits(lock_timeout_s, statement_timeout_s, lock_retry_s)
    done: list[Reverted] = []
    if not plan.reversals:
        return ()
    with open_session(database, limits, clock, lock_wait_s) as session:
        records = {record.id: record for record in read_records(session.connection)}
        if not _still_to_do(plan, [each.id for each in records.values() if each.marked]):
            return ()
        patience = Patience(lock_retry_s, clock, progress, session.watch)
        at_stake: dict[str, tuple[Target, ...]] = {}
        if not allow_data_loss:
            patience.insist("the rehearsal", lambda: at_stake.update(_rehearse(session, plan)))
        for reversal in plan.reversals:
            started = clock.monotonic()
            with progress.step(f"roll back {reversal.id}"), said_before(len(done), "rolled back"):
                stake = at_stake.get(reversal.id, ())
                _revert(session, reversal, records[reversal.id], stake, patience)
            done.append(Reverted(reversal.id, clock.monotonic() - started))
    return tuple(done)


def _still_to_do(plan: RollbackPlan, applied: list[str]) -> bool:
    """False when somebody else has done it. Raises Refused when the plan's ground has moved."""
    planned = [reversal.id for reversal in plan.reversals]
    if not set(planned) & set(applied):
        return False
    if applied[::-1][: len(planned)] != planned:
        raise Refused(
            "the database has changed since the rollback was planned",
            hint="Run the command again to see what would be rolled back now.",
        )
    return True


def _rehearse(session: Session, plan: RollbackPlan) -> dict[str, tuple[Target, ...]]:
    """What each reversal would drop, all of it empty. Raises Refused when something is not."""
    session.settle()
    targets = {}
    with session.rehearsal():
        before = read_columns(session.connection)
        for reversal in plan.reversals:
            _try(session, reversal)
            after = read_columns(session.connection)
            targets[reversal.id] = dropped(before, after)
            before = after
    with session.rehearsal():
        refuse(losses(session.connection, chain.from_iterable(targets.values())))
    return targets


def _try(session: Session, reversal: Reversal) -> None:
    """What cannot run in a transaction is passed over; DROP INDEX CONCURRENTLY loses no data."""
    session.connection.execute("SAVEPOINT script")
    try:
        session.run(reversal.id, reversal.source, reversal.down)
    except MigrationFailed as error:
        if not isinstance(error.__cause__, psycopg.errors.ActiveSqlTransaction):
            raise
        session.connection.execute("ROLLBACK TO SAVEPOINT script")


def _revert(
    session: Session,
    reversal: Reversal,
    record: Record,
    at_stake: tuple[Target, ...],
    patience: Patience,
) -> None:
    marks = unmarked(session.connection, reversal.id, session.who)
    marks += forgotten(session.connection, reversal.id)

    def attempt() -> None:
        with blamed_on(script), session.transaction():
            refuse(losses(session.connection, lock_targets(session.connection, at_stake)))
            session.settle()
            session.run(script.id, script.file, script.text)
            session.finish(marks)

    script = _script(reversal)
    if reversal.transactional:
        session.settle()
        patience.insist(reversal.id, attempt)
        return
    if record.stage is not Stage.REVERTING or not clear_away(session, record, reversal.down):
        _outside(session, script, patience)
    with blamed_on(script):
        session.record(marks)


def _outside(session: Session, script: Source, patience: Patience) -> None:
    connection = session.connection
    notes = Notes(
        Stage.REVERTING,
        staged(connection, script.id, Stage.REVERTING),
        staged(connection, script.id, Stage.APPLIED),
    )
    run_outside(session, script, notes, patience)


def _script(reversal: Reversal) -> Source:
    return Source(reversal.id, reversal.source, reversal.down)
