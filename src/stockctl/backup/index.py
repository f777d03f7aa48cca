"""A copy of what the manifests of a store say, small enough to be read at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stockctl.backup.checks import Checks
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.core.errors import StoreFailed
from stockctl.core.units import format_instant

FORMAT = 3


@dataclass(frozen=True, slots=True)
class Summary:
    """A Backup without what it takes to restore it."""

    id: str
    environment: str
    created_at: datetime
    size_bytes: int
    database_bytes: int
    duration_s: float
    sha256: str
    encrypted: bool
    schema_head: str | None
    tables: int
    rows: int
    empty: bool
    label: str | None
    pinned: bool

    @property
    def object(self) -> str:
        return f"{self.environment}.{self.id}.dump.zst" + (".age" if self.encrypted else "")

    @property
    def manifest(self) -> str:
        return f"{self.environment}.{self.id}.json"


@dataclass(frozen=True, slots=True)
class Row:
    """`versions` are those of the manifest and of the checks that this was read from."""

    summary: Summary
    checks: Checks | None
    versions: tuple[str, str]


def index_name(environment: str) -> str:
    """Its name in the store."""
    return f"{environment}.index.zst"


def summarize(backup: Backup) -> Summary:
    """What a list shows of it."""
    return Summary(
        id=backup.id,
        environment=backup.environment,
        created_at=backup.created_at,
        size_bytes=backup.size_bytes,
        database_bytes=backup.database_bytes,
        duration_s=backup.duration_s,
        sha256=backup.sha256,
        encrypted=backup.encrypted,
        schema_head=backup.schema_head,
        tables=backup.tables,
        rows=backup.rows,
        empty=backup.empty,
        label=backup.label,
        pinned=backup.pinned,
    )


def read_index(store: Store, environment: str) -> dict[str, Row]:
    """By manifest. Empty for one that is broken, of another format or gone: it is only a copy."""
    from backports.zstd import ZstdError, decompress

    try:
        document = json.loads(decompress(store.get(index_name(environment))))
        if document["stockctl_index"] != FORMAT:
            return {}
        rows = [_row(fields, environment) for fields in document["rows"]]
    except (StoreFailed, ZstdError, ValueError, KeyError, TypeError, IndexError):
        return {}
    return {row.summary.manifest: row for row in rows}


def write_index(store: Store, environment: str, rows: Mapping[str, Row]) -> None:
    """Replaces it. Raises StoreFailed."""
    from backports.zstd import compress

    document = {"stockctl_index": FORMAT, "rows": [_fields(row) for row in rows.values()]}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    store.put(index_name(environment), compress(text.encode(), 3))


def _fields(row: Row) -> list[Any]:
    each, checks = row.summary, row.checks
    return [
        *row.versions,
        *(each.id, format_instant(each.created_at), each.size_bytes, each.database_bytes),
        *(each.duration_s, each.sha256, each.encrypted, each.schema_head, each.tables, each.rows),
        *(each.empty, each.label, each.pinned),
        checks
        and [
            checks.verified_at and format_instant(checks.verified_at),
            *(checks.depth, checks.failed),
            checks.drilled_at and format_instant(checks.drilled_at),
            checks.restore_s,
            checks.decoded_at and format_instant(checks.decoded_at),
            checks.drilled_on,
        ],
    ]


def _row(fields: list[Any], environment: str) -> Row:
    (manifest, beside, name, created, size, database, duration, sha256, encrypted, head, tables,
     rows, empty, label, pinned, found) = fields  # fmt: skip
    summary = Summary(
        str(name),
        environment,
        datetime.fromisoformat(created),
        int(size),
        int(database),
        float(duration),
        str(sha256),
        bool(encrypted),
        head,
        int(tables),
        int(rows),
        bool(empty),
        label,
        bool(pinned),
    )
    return Row(summary, None if found is None else _checks(found), (str(manifest), str(beside)))


def _checks(fields: list[Any]) -> Checks:
    verified, depth, failed, drilled, restore_s, decoded, on = fields
    return Checks(
        verified_at=verified and datetime.fromisoformat(verified),
        depth=depth,
        failed=failed,
        drilled_at=drilled and datetime.fromisoformat(drilled),
        restore_s=restore_s,
        decoded_at=decoded and datetime.fromisoformat(decoded),
        drilled_on=on,
    )
