"""How backups are chosen and shown, for every verb of the group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stockctl.cli.session import Session
from stockctl.cli.wiring import Opened
from stockctl.core.errors import BackupInvalid
from stockctl.core.units import format_age, format_instant

if TYPE_CHECKING:
    from datetime import datetime

    from stockctl.backup.catalog import Catalogue
    from stockctl.backup.checks import Checks
    from stockctl.backup.index import Summary
    from stockctl.backup.manifest import Backup
    from stockctl.backup.overview import Listed, Overview
    from stockctl.backup.stores.base import Store


def choose_backup(opened: Opened, store: Store, which: str) -> Backup:
    """The one that is meant. `latest` is never one that only became the newest because a newer one
    is broken. Raises UsageError, BackupInvalid."""
    from stockctl.backup.catalog import LATEST, choose, open_backup
    from stockctl.backup.overview import overview

    session = opened.session
    catalogue = overview(store, opened.environment.name)
    warn_of_invalid(session, catalogue)
    backup = choose(catalogue, which, opened.clock.now())
    if which == LATEST:
        _warn_of_ahead(session, catalogue, backup)
    if which == LATEST and any(broken > backup.manifest for broken, _ in catalogue.invalid):
        raise BackupInvalid(
            f"the newest backup is not valid, {backup.id} is the newest that is",
            hint=f"To take that one: --backup {backup.id}",
        )
    return open_backup(store, backup)


def _warn_of_ahead(session: Session, catalogue: Overview, latest: Summary) -> None:
    """Of what was passed over: only a person can know whether it is newer all the same."""
    ahead = catalogue.backups[: catalogue.backups.index(latest)]
    if ahead:
        first = f"{ahead[-1].id} ({format_instant(ahead[-1].created_at)})"
        more = f" and {len(ahead) - 1} more" if ahead[1:] else ""
        session.progress().warn(
            f"dated to come: {first}{more}. A clock was wrong then, or this machine's is now."
            f" Taken: {latest.id}. If another one is newer all the same, name it: --backup ID"
        )


def told(checks: Checks, now: datetime) -> str:
    """For a table: how long ago it was last looked at, and how deep that look went."""
    if checks.failed:
        return "FAILED"
    if checks.drilled_at:
        return f"drilled {format_age((now - checks.drilled_at).total_seconds())}"
    if checks.verified_at is None:
        return "never"
    return f"{checks.depth} {format_age((now - checks.verified_at).total_seconds())}"


def data_of(backup: Listed, opened: Opened, checks: Checks) -> dict[str, Any]:
    """For a program."""
    return {
        "id": backup.id,
        "created_at": format_instant(backup.created_at),
        "size_bytes": backup.size_bytes,
        "database_bytes": backup.database_bytes,
        "duration_s": backup.duration_s,
        "sha256": backup.sha256,
        "encrypted": backup.encrypted,
        "schema_head": backup.schema_head,
        "tables": backup.tables,
        "rows": backup.rows,
        "empty": backup.empty,
        "store": opened.environment.backup.store,
        "label": backup.label,
        "pinned": backup.pinned,
        "verified_at": checks.verified_at and format_instant(checks.verified_at),
        "verified": checks.depth,
        "decoded_at": checks.decoded_at and format_instant(checks.decoded_at),
        "failed": checks.failed,
        "drilled_at": checks.drilled_at and format_instant(checks.drilled_at),
        "restore_s": checks.restore_s,
        "drilled_on": checks.drilled_on,
    }


def warn_of_invalid(session: Session, catalogue: Catalogue | Overview) -> None:
    """What lies there and is no backup."""
    progress = session.progress()
    for broken, reason in catalogue.invalid:
        progress.warn(f"not a backup: {broken}: {reason}")
