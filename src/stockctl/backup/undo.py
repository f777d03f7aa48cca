"""`stockctl backup undo`: what a restore replaced comes back, by the same swap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from stockctl.backup.create import locked
from stockctl.backup.fingerprint import fingerprint
from stockctl.backup.properties import describe
from stockctl.backup.put_back import reopen
from stockctl.backup.restore_plan import refuse_prepared
from stockctl.backup.stores.base import Store
from stockctl.backup.swap import free_name, kept, maintenance, mark_of, recover, swap
from stockctl.core.clock import Clock
from stockctl.core.errors import DatabaseUnreachable, Refused
from stockctl.core.progress import Progress
from stockctl.system.host import Holder, Host
from stockctl.system.postgres import Database


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """`returning` is the kept database that takes the place of `database`, which is kept as
    `keep_as`. Rows are None where nobody can enter."""

    environment: str
    database: str
    returning: str
    keep_as: str
    live_rows: int | None
    returning_rows: int | None


@dataclass(frozen=True, slots=True)
class Undone:
    """`outage_s` is how long nobody could enter the database."""

    database: str
    previous_database: str
    outage_s: float


def plan_undo(database: Database, environment: str, now: datetime) -> UndoPlan:
    """Looks, changes nothing. Raises Refused where no restore left anything."""
    name = database.dsn.database
    with maintenance(database) as connection:
        candidates = kept(connection, name)
        if not candidates:
            raise Refused(
                f"no restore has replaced {name}, or what it replaced was dropped",
                hint=f"From a backup: stockctl backup restore {environment} --plan",
            )
        returning = max(candidates)  # their names end with the time
        for each in (name, returning):
            refuse_prepared(connection, each)
        keep_as = free_name(connection, name, "before", now)
    return UndoPlan(
        environment, name, returning, keep_as, _rows(database), _rows(database.to(returning))
    )


def undo(
    plan: UndoPlan,
    database: Database,
    store: Store,
    *,
    host: Host,
    directory: Path,
    lock_holder: Holder,
    progress: Progress,
    clock: Clock,
) -> Undone:
    """Carries the plan out: one transaction of two renames. Until it commits, and when anything
    fails, the live database is as it was. Raises Locked, DatabaseFailed, PersonNeeded."""
    with locked(store, plan.environment, host, directory, lock_holder):
        recover(database, progress)
        try:
            with maintenance(database) as connection, progress.step("swap") as step:
                live = describe(connection, plan.database)
                for each in (plan.database, plan.returning):
                    refuse_prepared(connection, each)
                was = mark_of(connection, plan.returning)
                if was is None or was.stockctl != "kept":
                    raise Refused(f"{plan.returning} is not there any more; plan again")
                mark = replace(was, stockctl="returning", closed=live.allows_connections)
                outage_s = swap(
                    connection,
                    live,
                    plan.returning,
                    plan.keep_as,
                    mark,
                    clock=clock,
                    on_closed=lambda: step.line(f"{plan.database} is closed to connections"),
                )
        except BaseException as error:
            reopen(database, plan.environment, progress, error)
            raise
    return Undone(plan.database, plan.keep_as, outage_s)


def _rows(database: Database) -> int | None:
    try:
        with database.connect() as connection:
            return sum(rows for _table, rows in fingerprint(connection))
    except DatabaseUnreachable:
        return None
