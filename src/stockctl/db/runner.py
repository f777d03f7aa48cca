"""Applies migrations and takes them back: yoyo's ledger, made atomic.

A migration is one transaction with everything that is written about it. Whatever ends a run in
the middle (an error, Ctrl-C, kill -9, the network) leaves each migration applied or not applied;
one that cannot run in a transaction may be left `dirty`, which the next run or a person mends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import psycopg

from stockctl.core.clock import Clock, SystemClock
from stockctl.core.errors import MigrationFailed, Refused
from stockctl.core.progress import Progress
from stockctl.db.failure import failed
from stockctl.db.ledger import compare
from stockctl.db.loss import Loss, Target, dropped, lock_targets, losses, read_columns
from stockctl.db.migration import Migration
from stockctl.db.outside import clear_away, run_outside
from stockctl.db.plan import MigratePlan, Reversal, RollbackPlan, plan_migrate, plan_rollback
from stockctl.db.record import (
    Record,
    Stage,
    delete_record,
    read_records,
    write_record,
    write_stage,
)
from stockctl.db.session import Limits, Session, open_session
from stockctl.system.postgres import Database

__all__ = ["Applied", "Reverted", "migrate", "plan_migrate", "plan_rollback", "rollback"]

LOCK_WAIT_S = 60.0
_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that this run applied."""

    id: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Reverted:
    """A migration that this run took back."""

    id: str
    duration_s: float


def migrate(
    database: Database,
    plan: MigratePlan,
    *,
    progress: Progress,
    lock_timeout_s: float,
    statement_timeout_s: float,
    lock_wait_s: float = LOCK_WAIT_S,
    clock: Clock = _CLOCK,
) -> tuple[Applied, ...]:
    """Applies the plan, one migration after the other; stops at the first that fails.

    The plan is made again under the lock: what somebody else has applied meanwhile is left out,
    what nobody was shown is not applied. Raises Locked, Refused and MigrationFailed.
    """
    if not plan.migrations:
        return ()
    shown = {migration.id for migration in plan.migrations}
    limits = Limits(lock_timeout_s, statement_timeout_s)
    done: list[Applied] = []
    with open_session(database, limits, clock, lock_wait_s) as session:
        records = {record.id: record for record in read_records(session.connection)}
        status = compare(plan.known, tuple(records.values()))
        fresh = plan_migrate(status, plan.known, to=plan.to, phase=plan.phase)
        for migration in (each for each in fresh.migrations if each.id in shown):
            started = clock.monotonic()
            with progress.step(f"apply {migration.id}"), _said_before(len(done), "applied"):
                _apply(session, migration, records.get(migration.id), clock)
            done.append(Applied(migration.id, clock.monotonic() - started))
    return tuple(done)


def _apply(session: Session, migration: Migration, dirty: Record | None, clock: Clock) -> None:
    started = clock.monotonic()
    complete = dirty is not None and clear_away(session, dirty, migration.up)
    file = str(migration.path)
    if not migration.transactional and not complete:
        write_record(session.connection, migration, Stage.APPLYING, session.who)
        run_outside(
            session,
            migration.id,
            file,
            migration.up,
            Stage.APPLYING,
            lambda: delete_record(session.connection, migration.id),
        )
    session.settle()
    with _blamed_on(migration.id, file, migration.up), session.transaction():
        if migration.transactional:
            session.run(migration.id, file, migration.up)
            session.settle()
        session.yoyo.mark(migration.id)
        duration_s = clock.monotonic() - started
        write_record(session.connection, migration, Stage.APPLIED, session.who, duration_s)


def rollback(
    database: Database,
    plan: RollbackPlan,
    *,
    progress: Progress,
    allow_data_loss: bool,
    lock_timeout_s: float,
    statement_timeout_s: float,
    lock_wait_s: float = LOCK_WAIT_S,
    clock: Clock = _CLOCK,
) -> tuple[Reverted, ...]:
    """Runs the down scripts of the plan, last applied first.

    Before the first one all of them are rehearsed in a transaction that is rolled back: a script
    that fails, and tables or columns that hold something and would go, are found while nothing
    has changed. Raises Locked, Refused and MigrationFailed.
    """
    limits = Limits(lock_timeout_s, statement_timeout_s)
    done: list[Reverted] = []
    if not plan.reversals:
        return ()
    with open_session(database, limits, clock, lock_wait_s) as session:
        records = {record.id: record for record in read_records(session.connection)}
        if not _still_to_do(plan, [each.id for each in records.values() if each.marked]):
            return ()
        at_stake = {} if allow_data_loss else _rehearse(session, plan)
        for reversal in plan.reversals:
            started = clock.monotonic()
            with progress.step(f"roll back {reversal.id}"), _said_before(len(done), "rolled back"):
                _revert(session, reversal, records[reversal.id], at_stake.get(reversal.id, ()))
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
        _refuse_losses(losses(session.connection, chain.from_iterable(targets.values())))
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


def _refuse_losses(found: tuple[Loss, ...]) -> None:
    if found:
        raise Refused(
            "the rollback would throw data away",
            details="\n".join(map(str, found)),
            hint="Make a backup (stockctl backup create), then repeat with --allow-data-loss.",
        )


def _revert(
    session: Session, reversal: Reversal, record: Record, at_stake: tuple[Target, ...]
) -> None:
    connection = session.connection
    complete = record.stage is Stage.REVERTING and clear_away(session, record, reversal.down)
    if not reversal.transactional and not complete:
        write_stage(connection, reversal.id, Stage.REVERTING)
        run_outside(
            session,
            reversal.id,
            reversal.source,
            reversal.down,
            Stage.REVERTING,
            lambda: write_stage(connection, reversal.id, Stage.APPLIED),
        )
    session.settle()
    with _blamed_on(reversal.id, reversal.source, reversal.down), session.transaction():
        if reversal.transactional:
            _refuse_losses(losses(connection, lock_targets(connection, at_stake)))
            session.settle()
            session.run(reversal.id, reversal.source, reversal.down)
            session.settle()
        session.yoyo.unmark(reversal.id)
        delete_record(connection, reversal.id)


@contextmanager
def _blamed_on(identity: str, file: str, text: str) -> Iterator[None]:
    """What only fails at COMMIT (a deferred constraint) is the file's doing all the same."""
    try:
        yield
    except psycopg.Error as error:
        raise failed(identity, file, text, error, None) from error


@contextmanager
def _said_before(count: int, verb: str) -> Iterator[None]:
    try:
        yield
    except (MigrationFailed, Refused) as error:
        before = f"{count} before it {'is' if count == 1 else 'are'} {verb}. " if count else ""
        error.hint = before + error.hint
        raise
