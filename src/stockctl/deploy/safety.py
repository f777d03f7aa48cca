"""What is only done with a backup behind it.

Restores and rollbacks of migrations need `backup` and `db` at once, so they are put together here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stockctl.backup.manifest import Backup
from stockctl.backup.remnants import Remnant
from stockctl.backup.restore import Restored, restore
from stockctl.backup.restore_plan import RestorePlan
from stockctl.backup.stores.base import Store
from stockctl.backup.table import TableBack, restore_table
from stockctl.backup.tidy import TidyPlan, tidy
from stockctl.backup.undo import Undone, UndoPlan, undo
from stockctl.core.errors import DatabaseFailed, ToolFailed
from stockctl.core.progress import Progress
from stockctl.db.plan import RollbackPlan
from stockctl.db.runner import Reverted, rollback
from stockctl.deploy.back_up import back_up_step
from stockctl.deploy.site import LOCK
from stockctl.env.model import Environment
from stockctl.system.clients_here import client_host
from stockctl.system.journal_file import Journal
from stockctl.system.postgres import Database


def restore_over(
    environment: Environment,
    plan: RestorePlan,
    database: Database,
    store: Store,
    journal: Journal,
    progress: Progress,
    *,
    backup_first: bool,
    source: Store,
) -> Restored:
    """Carries a restore from `source` out under the environment's lock, with a backup of what is
    live first, into its own store."""
    command = f"backup restore {plan.backup.id}"
    directory = environment.host.directory
    with journal.alone(directory / LOCK, command) as holder:
        if backup_first:
            with _way_out():
                back_up_step(environment, database, store, journal, progress, f"before {command}")
        return restore(
            plan,
            database,
            source,
            identity_file=environment.backup.identity_file,
            host=client_host(journal.host, database),
            directory=directory,
            lock_holder=holder,
            progress=progress,
            clock=journal.clock,
        )


@contextmanager
def _way_out() -> Iterator[None]:
    """What cannot be backed up, for a broken disk or a full store, may be what must be restored."""
    try:
        yield
    except (ToolFailed, DatabaseFailed) as error:
        out = (
            "Nothing was restored: the safety backup failed. Without one: --skip-backup. What is"
            " live is kept beside the restored one all the same."
        )
        error.hint = "\n".join(filter(None, (error.hint, out)))
        raise


def bring_table_back(
    environment: Environment,
    backup: Backup,
    table: str,
    database: Database,
    source: Store,
    journal: Journal,
    progress: Progress,
) -> TableBack:
    """One table beside the live one, under the environment's lock."""
    command = f"backup restore {backup.id} --table {table}"
    directory = environment.host.directory
    with journal.alone(directory / LOCK, command) as holder:
        return restore_table(
            backup,
            table,
            database,
            source,
            identity_file=environment.backup.identity_file,
            host=client_host(journal.host, database),
            directory=directory,
            lock_holder=holder,
            progress=progress,
            clock=journal.clock,
        )


def undo_restore(
    environment: Environment,
    plan: UndoPlan,
    database: Database,
    store: Store,
    journal: Journal,
    progress: Progress,
) -> Undone:
    """Swaps back under the environment's lock. Nothing is lost, so no backup is taken."""
    directory = environment.host.directory
    with journal.alone(directory / LOCK, "backup undo") as holder:
        return undo(
            plan,
            database,
            store,
            host=client_host(journal.host, database),
            directory=directory,
            lock_holder=holder,
            progress=progress,
            clock=journal.clock,
        )


def tidy_restores(
    environment: Environment,
    plan: TidyPlan,
    database: Database,
    store: Store,
    journal: Journal,
    progress: Progress,
) -> tuple[Remnant, ...]:
    """Drops what restores left, under the environment's lock."""
    directory = environment.host.directory
    with journal.alone(directory / LOCK, "backup tidy") as holder:
        return tidy(
            plan,
            database,
            store,
            host=client_host(journal.host, database),
            directory=directory,
            lock_holder=holder,
            progress=progress,
        )


def take_back(
    environment: Environment,
    plan: RollbackPlan,
    database: Database,
    store: Store,
    journal: Journal,
    progress: Progress,
    *,
    allow_data_loss: bool,
    backup_first: bool,
) -> tuple[Reverted, ...]:
    """Takes migrations back, with a backup first."""
    settings = environment.database
    assert settings is not None
    with journal.alone(environment.host.directory / LOCK, "db rollback"):
        if backup_first:
            back_up_step(environment, database, store, journal, progress, "before db rollback")
        return rollback(
            database,
            plan,
            progress=progress,
            allow_data_loss=allow_data_loss,
            lock_timeout_s=settings.lock_timeout,
            statement_timeout_s=settings.statement_timeout,
            lock_retry_s=settings.lock_retry,
        )
