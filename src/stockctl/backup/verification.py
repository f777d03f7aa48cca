"""`stockctl backup verify`: look at what is stored, and keep what was found beside the manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stockctl.backup.catalog import require_there
from stockctl.backup.checks import Checks, Depth, read_checks, write_checks
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.backup.verify import check, check_bytes
from stockctl.core.clock import Clock
from stockctl.core.errors import (
    BackupInvalid,
    Refused,
    StockctlError,
    StoreFailed,
    ToolFailed,
)
from stockctl.core.progress import Progress, Step
from stockctl.core.units import format_size
from stockctl.env.keys import Identities

if TYPE_CHECKING:
    from stockctl.backup.drill import Drilled


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one backup. `reason` says why it is not `ok`, or what was not looked at;
    `removed`: somebody took it out of the store meanwhile."""

    id: str
    ok: bool
    depth: Depth | None
    reason: str
    error: StockctlError | None = None
    restore_s: float | None = None
    removed: bool = False


def drill_and_record(
    backup: Backup,
    store: Store,
    progress: Progress,
    clock: Clock,
    run: Callable[[Backup], Drilled],
) -> Checked:
    """Restores it by `run`, and keeps what came of it."""
    try:
        with progress.step(f"drill {backup.id}"):
            drilled = run(backup)
    except (BackupInvalid, ToolFailed) as error:
        if went := _removed(backup, store):
            return went
        reason = error.message.removeprefix(f"backup {backup.id}: ")
        if isinstance(error, BackupInvalid) and not _only_the_key_is_wrong(backup, store, error):
            record(store, backup, read_checks(store, backup).not_passed(reason), progress)
        return Checked(backup.id, ok=False, depth=None, reason=reason, error=error)
    took_s = drilled.restore_s
    found = read_checks(store, backup).drilled(clock.now(), took_s, drilled.on)
    record(store, backup, found, progress)
    return Checked(backup.id, ok=True, depth="archive", reason="", restore_s=took_s)


def verify(
    backup: Backup,
    store: Store,
    identities: Identities | None,
    *,
    progress: Progress,
    clock: Clock,
) -> Checked:
    """Decodes all of it where there is a key, else compares size and sha256. The record is
    replaced by what was found; a store that cannot be read now says nothing about the backup."""
    sealed = backup.encrypted and not identities
    depth: Depth = "bytes" if sealed else "archive"
    try:
        with progress.step(f"verify {backup.id}") as step:
            _look(backup, store, None if sealed else identities, depth, step)
    except (BackupInvalid, StoreFailed) as error:
        if went := _removed(backup, store):
            return went
        if isinstance(error, StoreFailed):
            return Checked(backup.id, ok=False, depth=None, reason=error.message, error=error)
        reason = error.message.removeprefix(f"backup {backup.id}: ")
        if not _only_the_key_is_wrong(backup, store, error):
            record(store, backup, read_checks(store, backup).not_passed(reason), progress)
        return Checked(backup.id, ok=False, depth=None, reason=reason, error=error)
    record(store, backup, read_checks(store, backup).passed(clock.now(), depth), progress)
    note = "not decoded: there is no key here" if sealed else ""
    return Checked(backup.id, ok=True, depth=depth, reason=note)


def _removed(backup: Backup, store: Store) -> Checked | None:
    """Nobody is locked out by a verification, a prune least of all."""
    try:
        require_there(store, backup)
    except Refused as error:
        reason = "it was removed while it was read"
        return Checked(backup.id, ok=False, depth=None, reason=reason, error=error, removed=True)
    return None


def _only_the_key_is_wrong(backup: Backup, store: Store, error: BackupInvalid) -> bool:
    """A key that does not open it must not make it count as broken: every byte is as written."""
    if "decrypted" not in error.message:
        return False
    try:
        check_bytes(backup, store)
    except StockctlError:
        return False
    return True


def record(store: Store, backup: Backup, checks: Checks, progress: Progress) -> None:
    """Keeps what was found. A store that takes nothing (a disk that is mounted read-only) does not
    make a good backup a bad one, and one that was pruned meanwhile gets no record."""
    try:
        if backup.manifest in store.names():
            write_checks(store, backup, checks)
    except StoreFailed as error:
        progress.warn(f"what was found about {backup.id} is not kept: {error}")


def _look(
    backup: Backup, store: Store, identities: Identities | None, depth: Depth, step: Step
) -> None:
    done = 0

    def moved(count: int) -> None:
        nonlocal done
        done += count
        step.transferred(done, backup.size_bytes if depth == "bytes" else backup.database_bytes)

    if depth == "bytes":
        check_bytes(backup, store, moved)
        step.detail = f"{format_size(done)}: size and sha256; not decoded"
    else:
        check(backup, store, identities, moved)
        step.detail = f"{format_size(done)} decoded, {backup.rows} rows"
