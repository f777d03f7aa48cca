"""An empty database becomes what a backup says: restored, counted, analyzed."""

from __future__ import annotations

from contextlib import closing

from stockctl.backup.fingerprint import difference, fingerprint
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.backup.verify import read
from stockctl.core.errors import BackupInvalid
from stockctl.core.progress import Progress
from stockctl.env.keys import Identities
from stockctl.system.host import Host
from stockctl.system.postgres import Database, errors


def fill(
    empty: Database,
    owner: str,
    backup: Backup,
    store: Store,
    identities: Identities | None,
    *,
    host: Host,
    progress: Progress,
) -> None:
    """Three steps: restore, fingerprint, analyze. Raises BackupInvalid, ToolFailed,
    DatabaseFailed; what is in the database then is worth nothing."""
    _restore(empty, owner, backup, store, identities, host, progress)
    with progress.step("fingerprint") as step, empty.connect() as connection:
        wrong = difference(backup.fingerprint, fingerprint(connection))
        if wrong:
            raise BackupInvalid(
                f"backup {backup.id} restores to other rows than were saved",
                details="\n".join(wrong[:20]),
            )
        step.detail = f"{backup.tables} tables, {backup.rows} rows"
    with progress.step("analyze"), empty.connect() as connection, errors("analyze the copy"):
        connection.execute("ANALYZE")


def _restore(
    empty: Database,
    owner: str,
    backup: Backup,
    store: Store,
    identities: Identities | None,
    host: Host,
    progress: Progress,
) -> None:
    # As the owner and never more: a restore runs SQL that the dump brings along.
    arguments = ("--exit-on-error", "--no-owner", "--no-acl", f"--role={owner}")
    done = 0
    with (
        progress.step("restore") as step,
        closing(read(backup, store, identities)) as blocks,
        empty.tools.command("pg_restore", *arguments, dsn=empty.dsn) as command,
        host.stream(command, stdin=True) as child,
    ):
        try:
            for block in blocks:
                child.stdin.write(block)
                done += len(block)
                step.transferred(done, backup.database_bytes)
        except BrokenPipeError:
            pass  # it left early: its exit code and standard error tell why
        child.close_stdin()
        child.check()
