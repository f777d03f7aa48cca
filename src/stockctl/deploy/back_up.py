"""A backup as its environment wants it, with the schema head, which `backup` cannot know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stockctl.backup.stores.base import Store
from stockctl.core.errors import ConfigurationError, DatabaseFailed
from stockctl.core.progress import Progress
from stockctl.core.units import format_size
from stockctl.db.ledger import read_status
from stockctl.env.model import Environment
from stockctl.system.clients_here import client_host
from stockctl.system.journal_file import Journal
from stockctl.system.postgres import Database

if TYPE_CHECKING:  # a rollback needs none of it
    from stockctl.backup.manifest import Backup


def back_up(
    environment: Environment,
    database: Database,
    store: Store,
    journal: Journal,
    progress: Progress,
    *,
    label: str | None,
    pinned: bool = False,
) -> Backup:
    """Makes one and returns it, verified. Raises what `stockctl.backup.create` raises."""
    from stockctl.backup.create import CreateOptions, create

    if environment.backup.exposed:  # which no warning may let through
        raise ConfigurationError(
            "backup.store is on another machine, and there are no recipients",
            hint='Set backup.recipients, or say why not: backup.plaintext = "…" (E039)',
        )
    options = CreateOptions(
        environment=environment.name,
        lock_holder=journal.holder("backup create"),
        label=label,
        pinned=pinned,
        compression=environment.backup.compression,
        recipients=environment.backup.recipients,
        schema_head=_schema_head(database, progress),
        hash_content=environment.backup.fingerprint == "hash",
    )
    return create(
        database,
        store,
        options,
        host=client_host(journal.host, database),
        directory=environment.host.directory,
        progress=progress,
        clock=journal.clock,
    )


def _schema_head(database: Database, progress: Progress) -> str | None:
    """For the manifest. A ledger that cannot be read must not stop a backup."""
    try:
        return read_status(database, ()).head
    except DatabaseFailed as error:
        progress.warn(f"the schema head is not recorded: {error}")
        return None


def back_up_step(
    environment: Environment,
    database: Database,
    store: Store,
    journal: Journal,
    progress: Progress,
    label: str,
) -> None:
    """The backup as one step of something larger."""
    with progress.step("backup") as step:
        backup = back_up(environment, database, store, journal, progress, label=label)
        step.detail = f"{backup.id} {format_size(backup.size_bytes)}"
