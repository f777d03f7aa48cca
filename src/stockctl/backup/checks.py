"""What was found out about a backup, kept beside its manifest: when it was verified and drilled.

The manifest itself is never written again by it: what was saved does not change by being looked at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Protocol

from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.core.errors import StoreFailed
from stockctl.core.units import format_instant, parse_instant

FORMAT = 1
REST = "checks.json"  # of the name, after environment and id
Depth = Literal["bytes", "archive"]


@dataclass(frozen=True, slots=True)
class Checks:
    """`verified_at`: when it was last found whole; None when it never was, or is not any more.

    `depth` says how far that looked: `bytes` is size and sha256, `archive` is everything decoded
    and the rows counted. `failed` is why it was not whole. `drilled_at`: when it was last restored
    with all its rows, in `restore_s` seconds from the first byte to the last index.
    """

    verified_at: datetime | None = None
    depth: Depth | None = None
    failed: str | None = None
    drilled_at: datetime | None = None
    restore_s: float | None = None

    def passed(self, at: datetime, depth: Depth) -> Checks:
        """A verification found it whole."""
        return replace(self, verified_at=at, depth=depth, failed=None)

    def drilled(self, at: datetime, restore_s: float) -> Checks:
        """It was restored, with all its rows."""
        return replace(self.passed(at, "archive"), drilled_at=at, restore_s=restore_s)

    def not_passed(self, reason: str) -> Checks:
        """It did not: from now on it counts as none that was verified."""
        return replace(
            self, verified_at=None, depth=None, failed=reason, drilled_at=None, restore_s=None
        )


class Named(Protocol):
    """A backup, by whatever is known of it."""

    @property
    def environment(self) -> str: ...
    @property
    def id(self) -> str: ...


def checks_name(backup: Named) -> str:
    """The name of the record in the store."""
    return f"{backup.environment}.{backup.id}.{REST}"


def read_checks(store: Store, backup: Backup) -> Checks:
    """Nothing is known of one without a record, or with one that is broken or of other bytes."""
    try:
        return parse_checks(store.get(checks_name(backup)), backup)
    except (StoreFailed, ValueError, KeyError, TypeError, AttributeError):
        return Checks()


def parse_checks(data: bytes, backup: Backup) -> Checks:
    """Raises ValueError, KeyError, TypeError or AttributeError for what is no record of it."""
    fields: dict[str, Any] = json.loads(data)
    if fields["stockctl_checks"] != FORMAT or fields["sha256"] != backup.sha256:
        raise ValueError("a record of something else")
    return Checks(
        verified_at=_instant(fields["verified_at"]),
        depth=fields["depth"],
        failed=fields["failed"],
        drilled_at=_instant(fields["drilled_at"]),
        restore_s=fields["restore_s"],
    )


def write_checks(store: Store, backup: Backup, checks: Checks) -> None:
    """Replaces the record. Raises StoreFailed."""
    fields = {
        "stockctl_checks": FORMAT,
        "id": backup.id,
        "sha256": backup.sha256,
        "verified_at": checks.verified_at and format_instant(checks.verified_at),
        "depth": checks.depth,
        "failed": checks.failed,
        "drilled_at": checks.drilled_at and format_instant(checks.drilled_at),
        "restore_s": checks.restore_s,
    }
    store.put(checks_name(backup), json.dumps(fields, indent=1, ensure_ascii=False).encode())


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)
