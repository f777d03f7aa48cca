"""Drills as the environment wants them: on an embedded server of their own, or on its own one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stockctl.backup.create import locked
from stockctl.backup.drill import Drilled, Scratch, drill
from stockctl.backup.key import require_key
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.backup.verification import Checked, drill_and_record
from stockctl.core.progress import Progress
from stockctl.env.model import Environment
from stockctl.system.clients_here import client_host
from stockctl.system.embedded import serve
from stockctl.system.journal_file import Journal
from stockctl.system.local import LocalHost
from stockctl.system.postgres import Database

FOLDER = "drill"
LOCK = "drill.lock"


def drill_here(
    environment: Environment,
    backups: Sequence[Backup],
    store: Store,
    journal: Journal,
    progress: Progress,
    *,
    folder: Path,
) -> list[Checked]:
    """On an embedded server below `folder` of this machine, made for it and removed afterwards:
    production is not asked. After a kill the next drill finds its folder, and what is in it."""
    directory, holder = environment.host.directory, journal.holder("backup verify --drill")
    with journal.host.lock(directory / LOCK, holder):
        try:
            with serve(folder / FOLDER / "postgres") as database:
                scratch = Scratch(database, own=True)
                return [
                    _one(each, scratch, environment, store, journal, progress) for each in backups
                ]
        finally:
            LocalHost().remove(folder / FOLDER)


def drill_on_server(
    environment: Environment,
    backups: Sequence[Backup],
    database: Database,
    store: Store,
    journal: Journal,
    progress: Progress,
) -> list[Checked]:
    """Beside the live database, under the lock of backups and restores."""
    holder = journal.holder("backup verify --drill")
    scratch = Scratch(database, own=False)
    with locked(store, environment.name, journal.host, environment.host.directory, holder):
        return [_one(each, scratch, environment, store, journal, progress) for each in backups]


def _one(
    backup: Backup,
    scratch: Scratch,
    environment: Environment,
    store: Store,
    journal: Journal,
    progress: Progress,
) -> Checked:
    def run(backup: Backup) -> Drilled:
        return drill(
            backup,
            store,
            require_key(backup, environment.backup.identity_file),
            scratch,
            host=client_host(journal.host, scratch.database),
            directory=environment.host.directory,
            progress=progress,
            clock=journal.clock,
        )

    return drill_and_record(backup, store, progress, journal.clock, run)
