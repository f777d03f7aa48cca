"""`stockctl db baseline`: a database that was made by other means becomes one that is migrated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stockctl.core.clock import Clock, SystemClock
from stockctl.core.errors import Refused
from stockctl.core.progress import Progress
from stockctl.core.units import counted
from stockctl.db.catalog.diff import Difference, differences
from stockctl.db.catalog.nouns import Catalog
from stockctl.db.drizzle import Journal, read_journal, without_journal
from stockctl.db.expected import expected_schema, live_schema
from stockctl.db.lock import LOCK_WAIT_S
from stockctl.db.migration import Migration
from stockctl.db.plan import find
from stockctl.db.proof.trial import Script
from stockctl.db.record import Stage, read_records, recorded
from stockctl.db.scratch import Scratch
from stockctl.db.session import Limits, Session, open_session
from stockctl.db.yoyo_ledger import marked
from stockctl.system.postgres import Database, errors

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class BaselinePlan:
    """`migrations` to mark as applied. `differences`: where the database is not what they give,
    `-` what they give, `+` what it has; then nothing can be marked."""

    migrations: tuple[Migration, ...]
    differences: tuple[Difference, ...]
    journal: Journal | None
    schema: Catalog


def plan_baseline(
    live: Database,
    scratch: Scratch,
    migrations: Sequence[Migration],
    to: str,
    limits: Limits,
    progress: Progress,
) -> BaselinePlan:
    """Looks, changes nothing. Raises UsageError for an unknown `to`, Refused where the database has
    a ledger already; MigrationFailed, DatabaseFailed, DatabaseUnreachable."""
    last = find(to, [each.id for each in migrations])
    chosen = tuple(each for each in migrations if each.id <= last)
    with live.connect() as connection, errors(f"read the schema of {live.dsn}"):
        _refuse_a_ledger([record.id for record in read_records(connection)])
        journal = read_journal(connection)
        with progress.step("read the live schema"):
            found = live_schema(connection)
    with progress.step(f"run {counted(len(chosen), 'migration')}"):
        scripts = [Script(each.id, str(each.path), each.up, each.transactional) for each in chosen]
        wanted = expected_schema(scratch, scripts, limits, shared=True)
    return BaselinePlan(chosen, differences(wanted, without_journal(found)), journal, found)


def baseline(
    live: Database,
    plan: BaselinePlan,
    limits: Limits,
    *,
    lock_wait_s: float = LOCK_WAIT_S,
    clock: Clock = _CLOCK,
) -> tuple[str, ...]:
    """Marks all of the plan's migrations, in one transaction and under the migration lock.

    Raises Refused where the schema differs, or has changed since the plan was made; Locked.
    """
    refuse_differences(plan)
    with open_session(live, limits, clock, lock_wait_s) as session:
        _refuse_a_ledger([record.id for record in read_records(session.connection)])
        with live.connect() as connection:
            if differences(plan.schema, live_schema(connection)):
                raise Refused(
                    "the schema has changed since it was compared: nothing was marked",
                    hint="Run the command again.",
                )
        session.record(b"".join(_marks(session, plan.migrations)))
    return tuple(each.id for each in plan.migrations)


def _marks(session: Session, migrations: Sequence[Migration]) -> Iterator[bytes]:
    """In their order; how long they took, nobody knows."""
    for migration in migrations:
        row = recorded(session.connection, migration, Stage.APPLIED, session.who, 0.0)
        yield marked(session.connection, migration.id, session.who, row)


def refuse_differences(plan: BaselinePlan) -> None:
    """Raises Refused where there are any."""
    if plan.differences:
        count = len(plan.differences)
        objects = "1 object differs" if count == 1 else f"{count} objects differ"
        raise Refused(
            f"the database is not what the migrations up to {plan.migrations[-1].id} give:"
            f" {objects}; nothing was marked",
            details="\n".join(f"{each.key}:\n{each.text}" for each in plan.differences),
            hint="Change the migrations, which are applied nowhere yet, or the database, until both"
            " say the same. `-` is what the migrations give, `+` what the database has.",
        )


def _refuse_a_ledger(applied: list[str]) -> None:
    if applied:
        raise Refused(
            f"{len(applied)} migrations are recorded in this database already, the last one"
            f" {applied[-1]}: it needs no baseline",
            hint="See: stockctl db status ENV",
        )
