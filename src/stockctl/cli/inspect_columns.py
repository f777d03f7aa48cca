"""The columns of each table of `db inspect`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stockctl.core.units import format_duration, format_instant, format_size


def _size(value: int | None) -> str:
    return "?" if value is None else format_size(value)


def _count(value: int) -> str:
    return f"{value:,}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _lasted(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(seconds)


@dataclass(frozen=True, slots=True)
class View:
    """`cells` go under the words of `head`, `>` to the right; `below` is a line of its own."""

    title: str
    head: str
    cells: Callable[[Any], tuple[str, ...]]
    below: Callable[[Any], str] = lambda _: ""


VIEWS = {
    "locks": View(
        "Who waits for whom",
        "PROCESS >WAITS STATE APPLICATION WANTS",
        lambda r: (
            f"{'  ' * r.depth}{'└ ' if r.depth else ''}{r.pid}",
            _lasted(r.waiting_s),
            r.state,
            r.application,
            r.waits_for or f"blocks {r.blocks}",
        ),
        lambda r: r.query,
    ),
    "connections": View(
        "Connections to the server",
        ">USED >MAXIMUM >RESERVED >FREE",
        lambda r: (str(r.used), str(r.maximum), str(r.reserved), str(r.free)),
    ),
    "connection_groups": View(
        "Connections by application",
        "APPLICATION USER DATABASE STATE >COUNT >LONGEST",
        lambda r: (r.application, r.user, r.database, r.state, str(r.count), _lasted(r.longest_s)),
    ),
    "long_sessions": View(
        "Transactions open for long",
        "PROCESS >OPEN >STATE_SINCE STATE APPLICATION USER",
        lambda r: (
            str(r.pid),
            _lasted(r.transaction_s),
            _lasted(r.state_s),
            r.state,
            r.application,
            r.user,
        ),
        lambda r: r.query,
    ),
    "prepared_transactions": View(
        "Prepared transactions",
        "NAME OWNER >AGE",
        lambda r: (r.name, r.owner, _lasted(r.age_s)),
    ),
    "slow_queries": View(
        "Queries by the time they took",
        ">TOTAL >SHARE >MEAN >CALLS >ROWS USER",
        lambda r: (
            _lasted(r.total_ms / 1000),
            _share(r.share),
            f"{r.mean_ms:,.1f} ms",
            _count(r.calls),
            _count(r.rows),
            r.user,
        ),
        lambda r: r.query,
    ),
    "invalid_indexes": View("Invalid indexes", "INDEX TABLE", lambda r: (r.index, r.table)),
    "duplicate_indexes": View(
        "Superfluous indexes",
        "INDEX >SIZE KIND KEPT",
        lambda r: (r.index, _size(r.size_bytes), r.kind, r.kept),
    ),
    "unused_indexes": View(
        "Unused indexes",
        "INDEX TABLE >SIZE >SCANS",
        lambda r: (r.index, r.table, _size(r.size_bytes), str(r.scans)),
    ),
    "unindexed_foreign_keys": View(
        "Foreign keys without an index",
        "TABLE COLUMNS REFERENCES >TABLE_SIZE",
        lambda r: (r.table, ", ".join(r.columns), r.references, _size(r.table_bytes)),
    ),
    "sequential_scans": View(
        "Large tables read from end to end",
        "TABLE >SIZE >SCANS >BY_INDEX >ROWS_A_SCAN",
        lambda r: (
            r.table,
            _size(r.table_bytes),
            _count(r.sequential_scans),
            _count(r.index_scans),
            _count(r.rows_a_scan),
        ),
    ),
    "tables": View(
        "Tables (FREE is an estimate)",
        "TABLE >TOTAL >INDEXES >ROWS >DEAD >FREE VACUUMED",
        lambda r: (
            r.table,
            _size(r.total_bytes),
            _size(r.index_bytes),
            _count(r.rows),
            _count(r.dead_rows),
            _size(r.free_bytes),
            format_instant(r.vacuumed_at)[:10] if r.vacuumed_at else "never",
        ),
    ),
    "sequences": View(
        "Sequences near their end",
        "SEQUENCE COLUMN >USED >LAST >LIMIT",
        lambda r: (r.sequence, r.column, _share(r.share), str(r.last_value), str(r.limit)),
    ),
    "wraparound": View(
        "Transaction numbers",
        "NAME KIND >TRANSACTIONS >MULTIXACTS >USED",
        lambda r: (r.name, r.kind, _count(r.transactions), _count(r.multixacts), _share(r.share)),
    ),
    "replication_slots": View(
        "Replication slots",
        "SLOT KIND ACTIVE >WAL_KEPT",
        lambda r: (r.slot, r.kind, "yes" if r.active else "no", _size(r.kept_bytes)),
    ),
}
