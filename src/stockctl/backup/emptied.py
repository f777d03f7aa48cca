"""A backup that holds no rows, where an earlier one did: made as well as any, and worth a word."""

from __future__ import annotations

from stockctl.backup.manifest import Backup
from stockctl.backup.overview import newest_with_rows, overview
from stockctl.backup.stores.base import Store
from stockctl.core.errors import StoreFailed
from stockctl.core.units import format_instant


def emptied(store: Store, backup: Backup) -> str:
    """What to say of the newest backup; nothing where it has rows, or never one had. The store is
    asked only where it has none."""
    if not backup.empty:
        return ""
    try:
        before = newest_with_rows(overview(store, backup.environment).backups, backup.created_at)
    except StoreFailed:
        return f"backup {backup.id} holds no rows, and nobody knows whether those before did"
    if before is None:
        return ""
    return (
        f"backup {backup.id} holds no rows; {before.id} of {format_instant(before.created_at)}"
        f" holds {before.rows}. Was the database emptied, or is it another one? No prune removes"
        f" those with rows for it: stockctl backup restore {backup.environment}"
        f" --backup {before.id} --plan"
    )
