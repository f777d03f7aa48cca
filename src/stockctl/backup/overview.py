"""What lies in a store, without reading each manifest: an index says what was in those that have
not changed. For `list` and `prune`; whoever opens a backup reads its manifest, which is the truth.

The index is a copy and never trusted: a row counts only while the listing shows the very versions
that it was made from. So it may be old, lost, half a day behind or written by two at once; what is
wrong in it is read anew. It is replaced once that was much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from stockctl.backup.checks import REST, Checks, checks_name, read_checks
from stockctl.backup.index import Row, Summary, index_name, read_index, summarize, write_index
from stockctl.backup.manifest import Backup, parse_name
from stockctl.backup.stores.base import Entry, Store, is_gone
from stockctl.core.errors import BackupInvalid, StoreFailed

_READ_AT_ONCE = 6  # sshd allows ten sessions on a connection
_WORTH_AN_INDEX = 64  # manifests that had to be read
_SETTLED = timedelta(seconds=2)  # some stores tell whole seconds: a newer one may change unseen
AHEAD = timedelta(days=1)  # clocks that nobody set apart, and a wrong time zone, are nearer
_OURS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\.(?:latest|index\.zst)")
_OF_A_BACKUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\.\d{8}T\d{6}Z-[0-9a-f]{4}\.[a-z.]+")


class Listed(Protocol):
    """What is known of a backup without opening it: a Backup or its Summary."""

    @property
    def id(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def database_bytes(self) -> int: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def sha256(self) -> str: ...
    @property
    def encrypted(self) -> bool: ...
    @property
    def schema_head(self) -> str | None: ...
    @property
    def tables(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def empty(self) -> bool: ...
    @property
    def label(self) -> str | None: ...
    @property
    def pinned(self) -> bool: ...
    @property
    def object(self) -> str: ...
    @property
    def manifest(self) -> str: ...


Dated = TypeVar("Dated", bound=Listed)


def newest(backups: Sequence[Dated], now: datetime) -> Dated | None:
    """Of these, which come newest first. One that is dated more than a day ahead of `now` is of a
    clock that was wrong: it is the newest only where all are."""
    dated = (each for each in backups if each.created_at <= now + AHEAD)
    return next(dated, next(iter(backups), None))


def newest_with_rows(backups: Sequence[Dated], now: datetime) -> Dated | None:
    """Of these, which come newest first, where the newest has none: what it should have held."""
    latest = newest(backups, now)
    if latest is None or not latest.empty:
        return None
    return newest([each for each in backups if not each.empty], now)


@dataclass(frozen=True, slots=True)
class Leftover:
    """What belongs to no manifest: a backup or a prune died between the two."""

    name: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """`backups` newest first; `invalid` (name, reason) for manifests that cannot be trusted;
    `foreign` names that nobody of us writes."""

    environment: str
    backups: tuple[Summary, ...]
    checks: Mapping[str, Checks]
    invalid: tuple[tuple[str, str], ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    foreign: tuple[str, ...] = ()

    def checks_of(self, backup: Listed) -> Checks:
        """Nothing is known of one that was never looked at."""
        return self.checks.get(backup.id, Checks())


def overview(store: Store, environment: str) -> Overview:
    """One listing, one index, and whatever the index does not know. Raises StoreFailed."""
    entries = store.entries()
    known = read_index(store, environment) if index_name(environment) in entries else {}
    manifests = [name for name in entries if _rest(name, environment) == "json"]
    rows: dict[str, Row] = {}
    unknown = []
    for name in manifests:
        row = known.get(name)
        if row is not None and row.versions == _versions(name, entries):
            rows[name] = row
        else:
            unknown.append(name)
    read, invalid = _read_all(store, unknown, entries)
    rows |= read
    if len(unknown) >= _WORTH_AN_INDEX:
        with suppress(StoreFailed):  # a disk that is mounted read-only; it is only slower
            write_index(store, environment, _settled(rows, entries))
    sound = []
    for name, row in rows.items():
        wrong = _wrong(row.summary, entries)
        if wrong and not is_gone(store, name):
            invalid[name] = wrong
        elif not wrong:
            sound.append(row)
    backups = sorted((r.summary for r in sound), key=lambda b: (b.created_at, b.id), reverse=True)
    return Overview(
        environment,
        tuple(backups),
        {row.summary.id: row.checks for row in sound if row.checks is not None},
        tuple(sorted(invalid.items(), reverse=True)),
        _leftovers(entries, environment, manifests),
        tuple(name for name in entries if not _is_ours(name)),
    )


def _read_all(
    store: Store, names: Iterable[str], entries: Mapping[str, Entry]
) -> tuple[dict[str, Row], dict[str, str]]:
    rows, invalid = {}, {}

    def read(name: str) -> Row | str | None:
        try:
            backup = Backup.from_json(store.get(name), name)
        except BackupInvalid as error:
            return error.message
        except StoreFailed:
            if is_gone(store, name):  # by a prune, since it was listed
                return None
            raise
        if backup.manifest != name:
            return f"{name} is the manifest of another backup: {backup.manifest}"
        beside = checks_name(backup) in entries
        checks = read_checks(store, backup) if beside else None
        return Row(summarize(backup), checks, _versions(name, entries))

    names = tuple(names)
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        for name, found in zip(names, pool.map(read, names), strict=True):
            if isinstance(found, str):
                invalid[name] = found
            elif found is not None:
                rows[name] = found
    return rows, invalid


def _versions(manifest: str, entries: Mapping[str, Entry]) -> tuple[str, str]:
    checks = entries.get(f"{manifest.removesuffix('json')}{REST}")
    return entries[manifest].version, checks.version if checks else ""


def _settled(rows: Mapping[str, Row], entries: Mapping[str, Entry]) -> dict[str, Row]:
    newest = max((each.modified for each in entries.values()), default=None)
    if newest is None:
        return {}
    kept = {}
    for name, row in rows.items():
        beside = entries.get(f"{name.removesuffix('json')}{REST}")
        times = [entries[name].modified, *([beside.modified] if beside else [])]
        if max(times) + _SETTLED <= newest:
            kept[name] = row
    return kept


def _wrong(backup: Summary, entries: Mapping[str, Entry]) -> str:
    entry = entries.get(backup.object)
    if entry is None:
        return f"{backup.manifest}: its object {backup.object} is not in the store"
    if entry.size != backup.size_bytes:
        said = f"{entry.size} bytes, the manifest says {backup.size_bytes}"
        return f"{backup.manifest}: {backup.object} has {said}"
    return ""


def _leftovers(
    entries: Mapping[str, Entry], environment: str, manifests: Iterable[str]
) -> tuple[Leftover, ...]:
    listed = {parsed[0] for name in manifests if (parsed := parse_name(name, environment))}
    found = []
    for name, entry in entries.items():
        parsed = parse_name(name, environment)
        if parsed and parsed[1] in ("dump.zst", "dump.zst.age", REST) and parsed[0] not in listed:
            found.append(Leftover(name, entry.modified))
    return tuple(found)


def _rest(name: str, environment: str) -> str:
    parsed = parse_name(name, environment)
    return parsed[1] if parsed else ""


def _is_ours(name: str) -> bool:
    """A file of a backup of whatever environment."""
    return _OF_A_BACKUP.fullmatch(name) is not None or _OURS.fullmatch(name) is not None
