"""Which backups an environment has. Only what has a sound manifest and its object is a backup."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from stockctl.backup.checks import REST, Checks, checks_name, read_checks
from stockctl.backup.manifest import Backup, parse_name
from stockctl.backup.overview import Listed, newest
from stockctl.backup.stores.base import Entry, Store, is_gone
from stockctl.core.errors import BackupInvalid, Refused, StoreFailed, UsageError

LATEST = "latest"
_CLOSE = 3  # as many as are worth naming
Chosen = TypeVar("Chosen", bound=Listed, covariant=True)


class Choice(Protocol[Chosen]):
    """What can be chosen from: a Catalogue, or an Overview."""

    @property
    def environment(self) -> str: ...
    @property
    def backups(self) -> Sequence[Chosen]: ...
    @property
    def invalid(self) -> Sequence[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`backups` newest first; `invalid` (name, reason) for manifests that cannot be trusted;
    `checks`, by id, what was found out about those that were looked at."""

    environment: str
    backups: tuple[Backup, ...]
    invalid: tuple[tuple[str, str], ...] = ()
    checks: Mapping[str, Checks] = field(default_factory=dict)

    def checks_of(self, backup: Backup) -> Checks:
        """Nothing is known of one that was never looked at."""
        return self.checks.get(backup.id, Checks())


def list_backups(store: Store, environment: str) -> Catalogue:
    """Reads every manifest of this environment, and looks whether its object is there. What a
    prune takes away meanwhile is not in it."""
    names = store.entries()
    backups, invalid = [], []
    for name in sorted(names, reverse=True):
        parsed = parse_name(name, environment)
        if parsed is None or parsed[1] != "json":
            continue
        try:
            backups.append(_read(store, name, names))
        except BackupInvalid as error:
            if not is_gone(store, name):
                invalid.append((name, error.message))
        except StoreFailed:
            if not is_gone(store, name):
                raise
    checks = {b.id: read_checks(store, b) for b in backups if checks_name(b) in names}
    return Catalogue(environment, tuple(backups), tuple(invalid), checks)


def orphans(store: Store, environment: str) -> tuple[str, ...]:
    """What no manifest belongs to: a backup or a prune died between the two."""
    names = store.names()
    parsed = {name: parse_name(name, environment) for name in names}
    listed = {found[0] for found in parsed.values() if found and found[1] == "json"}
    return tuple(
        name
        for name, found in parsed.items()
        if found and found[1] in ("dump.zst", "dump.zst.age", REST) and found[0] not in listed
    )


def pointer_name(environment: str) -> str:
    """The object that says which one is the latest, for whoever restores without stockctl."""
    return f"{environment}.latest"


def point_at(store: Store, environment: str, name: str) -> None:
    """Replaced atomically, like every small object. Raises StoreFailed."""
    store.put(pointer_name(environment), f"{name}\n".encode())


def points_at(store: Store, environment: str) -> str:
    """The name that it says; empty where there is none, or none that can be read."""
    try:
        return store.get(pointer_name(environment)).decode(errors="replace").strip()
    except StoreFailed:
        return ""


def choose(catalogue: Choice[Chosen], which: str, now: datetime) -> Chosen:
    """The one with that id, or the newest for `latest`. Raises as `named`."""
    latest = newest(catalogue.backups, now) if which == LATEST else None
    return latest or named(catalogue, which)


def named(catalogue: Choice[Chosen], which: str) -> Chosen:
    """The one with that id. Raises UsageError, or BackupInvalid for one whose manifest is not
    sound."""
    for backup in catalogue.backups:
        if backup.id == which:
            return backup
    for name, reason in catalogue.invalid:
        if parse_name(name, catalogue.environment) == (which, "json"):
            raise BackupInvalid(
                reason, hint=f"Choose another one: stockctl backup list {catalogue.environment}"
            )
    if not catalogue.backups:
        raise UsageError(
            f"{catalogue.environment} has no backup",
            hint=f"stockctl backup create {catalogue.environment}",
        )
    ids = [each.id for each in catalogue.backups]
    close = [each for each in ids if which and each.startswith(which)]  # an id is typed in full
    close = close or difflib.get_close_matches(which, ids, n=1)
    raise UsageError(
        f"{catalogue.environment} has no backup {which or repr(which)}",
        hint=f"Did you mean {' or '.join(close)}?"
        if 0 < len(close) <= _CLOSE
        else f"stockctl backup list {catalogue.environment}",
    )


def require_there(store: Store, backup: Listed) -> None:
    """Asked under the lock, where it stays. Raises Refused when it went since it was chosen."""
    if is_gone(store, backup.manifest):
        raise Refused(
            f"backup {backup.id} is not in {store.describe()} any more: somebody removed it since"
            " it was chosen",
            hint=f"Choose another one: stockctl backup list {backup.environment}",
        )


def open_backup(store: Store, listed: Listed) -> Backup:
    """The whole of one that was chosen by what an index says of it: its manifest is read now, and
    its object looked for. Raises BackupInvalid, StoreFailed, Refused when it went meanwhile."""
    try:
        backup = Backup.from_json(store.get(listed.manifest), listed.manifest)
        if backup.manifest != listed.manifest:
            raise BackupInvalid(
                f"{listed.manifest} is the manifest of another backup: {backup.manifest}"
            )
        size = store.size(backup.object)
    except StoreFailed:
        require_there(store, listed)
        raise
    if size != backup.size_bytes:
        raise BackupInvalid(
            f"{listed.manifest}: {backup.object} has {size} bytes,"
            f" the manifest says {backup.size_bytes}"
        )
    return backup


def _read(store: Store, name: str, names: Mapping[str, Entry]) -> Backup:
    backup = Backup.from_json(store.get(name), name)
    if backup.manifest != name:
        raise BackupInvalid(f"{name} is the manifest of another backup: {backup.manifest}")
    if backup.object not in names:
        raise BackupInvalid(f"{name}: its object {backup.object} is not in the store")
    size = names[backup.object].size
    if size != backup.size_bytes:
        raise BackupInvalid(
            f"{name}: {backup.object} has {size} bytes, the manifest says {backup.size_bytes}"
        )
    return backup
