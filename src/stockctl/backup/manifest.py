"""The Backup noun is its manifest: what was saved, when, from where, and how to know it whole."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stockctl.backup.globals import Globals
from stockctl.core.errors import BackupInvalid
from stockctl.core.units import format_instant, parse_instant

FORMAT = 2
_KNOWN = (1, 2)  # 2 added what is below `dump_bytes` in `_fields`
_ID_TIME = "%Y%m%dT%H%M%SZ"
_ID = r"\d{8}T\d{6}Z-[0-9a-f]{4}"
_ENVIRONMENT = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
_NAME = re.compile(rf"(?P<environment>{_ENVIRONMENT})\.(?P<id>{_ID})\.(?P<rest>[a-z.]+)")
# Of yoyo, of ours, and of Drizzle where it was before.
_LEDGER = re.compile(r".+\.(?:_?yoyo_[a-z]+|_stockctl_[a-z]+|__drizzle_migrations)", re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_empty(fingerprint: Iterable[tuple[str, int]]) -> bool:
    """Whether no table has a row, but for those in which migrations are recorded."""
    return not any(rows and not _LEDGER.fullmatch(table) for table, rows in fingerprint)


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup. Sizes in bytes; `created_at` is the instant of its snapshot.

    `size_bytes` and `sha256` are of the stored object, `database_bytes` is what the database took
    on the server. `fingerprint` holds (schema.table, rows) under the same snapshot, `recipients`
    the public keys it is encrypted for, `compression` the zstd level. `dump_bytes` is the size of
    the dump before compression, `content` a hash over the rows of each table where that was asked
    for, `extensions` (name, version, schema). The last four are not known of format 1.
    """

    id: str
    environment: str
    created_at: datetime
    size_bytes: int
    database_bytes: int
    duration_s: float
    sha256: str
    recipients: tuple[str, ...]
    compression: int
    database: str
    server_version: str
    schema_head: str | None
    fingerprint: tuple[tuple[str, int], ...]
    label: str | None
    pinned: bool
    stockctl: str
    format: int = FORMAT
    dump_bytes: int = 0
    content: tuple[tuple[str, str], ...] = ()
    extensions: tuple[tuple[str, str, str], ...] = ()
    globals: Globals | None = None

    @property
    def encrypted(self) -> bool:
        return bool(self.recipients)

    @property
    def tables(self) -> int:
        return len(self.fingerprint)

    @property
    def rows(self) -> int:
        return sum(rows for _table, rows in self.fingerprint)

    @property
    def empty(self) -> bool:
        """As `is_empty`."""
        return is_empty(self.fingerprint)

    @property
    def object(self) -> str:
        """The name of what is stored; its ending says how to open it without us."""
        return f"{self.environment}.{self.id}.dump.zst" + (".age" if self.encrypted else "")

    @property
    def manifest(self) -> str:
        """The name of the manifest, whose existence makes the object a backup."""
        return f"{self.environment}.{self.id}.json"

    def to_json(self) -> bytes:
        """The manifest file. `manifest_sha256` is over all the other fields."""
        fields = self._fields()
        return json.dumps(
            {**fields, "manifest_sha256": _digest(fields)}, indent=1, ensure_ascii=False
        ).encode()

    def _fields(self) -> dict[str, Any]:
        fields = {
            "stockctl_backup": self.format,
            "id": self.id,
            "environment": self.environment,
            "created_at": format_instant(self.created_at),
            "object": self.object,
            "size_bytes": self.size_bytes,
            "database_bytes": self.database_bytes,
            "duration_s": self.duration_s,
            "sha256": self.sha256,
            "encrypted": self.encrypted,
            "recipients": list(self.recipients),
            "compression": self.compression,
            "database": self.database,
            "server_version": self.server_version,
            "schema_head": self.schema_head,
            "tables": self.tables,
            "rows": self.rows,
            "fingerprint": dict(self.fingerprint),
            "label": self.label,
            "pinned": self.pinned,
            "stockctl": self.stockctl,
        }
        if self.format == 1:
            return fields
        return fields | {
            "dump_bytes": self.dump_bytes,
            "content": dict(self.content),
            "extensions": [list(each) for each in self.extensions],
            "globals": self.globals.to_json() if self.globals else None,
        }

    @classmethod
    def from_json(cls, data: bytes, name: str = "the manifest") -> Backup:
        """The inverse. Raises BackupInvalid for what was cut, changed or made by something else;
        `name` says which file."""
        fields = _parsed(data, name)
        if fields.pop("manifest_sha256", None) != _digest(fields):
            raise BackupInvalid(f"{name} was changed after it was written")
        try:
            backup = _built(fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BackupInvalid(f"{name} is not one of ours", details=repr(error)) from error
        # Derived fields too: a manifest cannot point at the object of another backup.
        if backup._fields() != fields or not is_whole_name(backup):
            raise BackupInvalid(f"{name} contradicts itself")
        return backup


def new_id(moment: datetime, noise: str) -> str:
    """`20261122T030000Z-1f2e`: sorts by time; `noise` is four hex digits."""
    return f"{moment.astimezone(UTC).strftime(_ID_TIME)}-{noise}"


def parse_name(name: str, environment: str) -> tuple[str, str] | None:
    """(id, rest) of a stored name that belongs to exactly this environment, else None.

    Whole names are compared: with prefixes `app` would own the backups of `app_test`.
    """
    found = _NAME.fullmatch(name)
    return (found["id"], found["rest"]) if found and found["environment"] == environment else None


def is_whole_name(backup: Backup) -> bool:
    """Whether its environment and id are from the allow-list, and its id is of its time."""
    return parse_name(backup.object, backup.environment) is not None and backup.id.startswith(
        new_id(backup.created_at, "")
    )


def _parsed(data: bytes, name: str) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise BackupInvalid(f"{name} is cut or is not JSON", details=str(error)) from error
    if not isinstance(fields, dict) or "stockctl_backup" not in fields:
        raise BackupInvalid(f"{name} was not made by stockctl")
    if fields["stockctl_backup"] not in _KNOWN:
        raise BackupInvalid(
            f"{name} has format {fields['stockctl_backup']!r}, this stockctl knows 1 to {FORMAT}",
            hint="Use the stockctl that made it, or a newer one.",
        )
    return fields


def _built(fields: Mapping[str, Any]) -> Backup:
    if not _SHA256.fullmatch(fields["sha256"]):
        raise ValueError("sha256 is not 64 hex digits")
    return Backup(
        id=_is(str, fields["id"]),
        environment=_is(str, fields["environment"]),
        created_at=parse_instant(fields["created_at"]),
        size_bytes=_is(int, fields["size_bytes"]),
        database_bytes=_is(int, fields["database_bytes"]),
        duration_s=float(fields["duration_s"]),
        sha256=fields["sha256"],
        recipients=tuple(_is(str, each) for each in _is(list, fields["recipients"])),
        compression=_is(int, fields["compression"]),
        database=_is(str, fields["database"]),
        server_version=_is(str, fields["server_version"]),
        schema_head=_optional(fields["schema_head"]),
        fingerprint=tuple((k, _is(int, v)) for k, v in _is(dict, fields["fingerprint"]).items()),
        label=_optional(fields["label"]),
        pinned=_is(bool, fields["pinned"]),
        stockctl=_is(str, fields["stockctl"]),
        format=_is(int, fields["stockctl_backup"]),
        **({} if fields["stockctl_backup"] == 1 else _built_since_2(fields)),
    )


def _built_since_2(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dump_bytes": _is(int, fields["dump_bytes"]),
        "content": tuple((k, _is(str, v)) for k, v in _is(dict, fields["content"]).items()),
        "extensions": tuple(
            (_is(str, name), _is(str, version), _is(str, schema))
            for name, version, schema in _is(list, fields["extensions"])
        ),
        "globals": Globals.from_json(fields["globals"]) if fields["globals"] else None,
    }


def _is(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {value!r}")
    return value


def _optional(value: Any) -> str | None:
    return None if value is None else str(_is(str, value))


def _digest(fields: Mapping[str, Any]) -> str:
    canonical = json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
