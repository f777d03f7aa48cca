"""`stockctl backup pin` and `unpin`: the one thing in a manifest that may change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stockctl.backup.catalog import require_there
from stockctl.backup.create import locked
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.system.host import Holder, Host


def set_pinned(
    backup: Backup,
    store: Store,
    *,
    pinned: bool,
    host: Host,
    directory: Path,
    lock_holder: Holder,
) -> Backup:
    """Replaces the manifest as a whole, under the lock that prune holds, too: what is pinned in
    time stays. Raises Locked, StoreFailed, Refused when it is gone, BackupInvalid when it is
    broken by now."""
    with locked(store, backup.environment, host, directory, lock_holder):
        require_there(store, backup)
        current = Backup.from_json(store.get(backup.manifest), backup.manifest)
        changed = replace(current, pinned=pinned)
        if changed != current:
            store.put(changed.manifest, changed.to_json())
    return changed
