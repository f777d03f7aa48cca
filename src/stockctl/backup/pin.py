"""`stockctl backup pin` and `unpin`: the one thing in a manifest that may change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
    time stays. Raises Locked, StoreFailed, BackupInvalid when it is gone or broken by now."""
    with locked(store, backup.environment, host, directory, lock_holder):
        current = Backup.from_json(store.get(backup.manifest), backup.manifest)
        changed = replace(current, pinned=pinned)
        if changed != current:
            store.put(changed.manifest, changed.to_json())
    return changed
