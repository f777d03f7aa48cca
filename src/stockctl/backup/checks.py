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
    """`verified_at`: when it was last looked at and nothing was wrong; None when it never was, or
    when something is.

    `depth` says how far that looked: `bytes` is size and sha256, `archive` is everything decoded
    and the rows counted. `decoded_at`: when a look last went as deep as that, which alone counts
    as verified (decision 0062). `failed` is why it was not whole. `drilled_at`: when it was last
    restored with all its rows, in `restore_s` seconds from the first byte to the last index;
    `drilled_on`, for a person, by what: another server is faster or slower. None where that was
    not kept.
    """

    verified_at: datetime | None = None
    depth: Depth | None = None
    failed: str | None = None
    drilled_at: datetime | None = None
    restore_s: float | None = None
    decoded_at: datetime | None = None
    drilled_on: str | None = None

    def passed(self, at: datetime, depth: Depth) -> Checks:
        """Nothing was wrong with it, as far as this looked."""
        decoded = at if depth == "archive" else self.decoded_at
        return replace(self, verified_at=at, depth=depth, failed=None, decoded_at=decoded)

    def drilled(self, at: datetime, restore_s: float, on: str | None = None) -> Checks:
        """It was restored, with all its rows."""
        passed = self.passed(at, "archive")
        return replace(passed, drilled_at=at, restore_s=restore_s, drilled_on=on)

    def not_passed(self, reason: str) -> Checks:
        """It did not: from now on it counts as none that was verified."""
        return Checks(failed=reason)


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
    deep = fields["verified_at"] if fields["depth"] == "archive" else fields["drilled_at"]
    return Checks(
        verified_at=_instant(fields["verified_at"]),
        depth=fields["depth"],
        failed=fields["failed"],
        drilled_at=_instant(fields["drilled_at"]),
        restore_s=fields["restore_s"],
        decoded_at=_instant(fields.get("decoded_at", deep)),
        drilled_on=fields.get("drilled_on"),
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
        "decoded_at": checks.decoded_at and format_instant(checks.decoded_at),
        "drilled_on": checks.drilled_on,
    }
    store.put(checks_name(backup), json.dumps(fields, indent=1, ensure_ascii=False).encode())


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)
