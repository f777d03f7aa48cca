"""What comes to an end: transaction numbers, sequences, the disk under a slot that nobody reads."""

from __future__ import annotations

from dataclasses import dataclass

from stockctl.db.inspect.limits import WRAPAROUND, Limits
from stockctl.db.inspect.reading import USER_SCHEMAS, Reader

# template0 and other databases that nobody may enter are frozen by autovacuum all the same.
_DATABASES = """
SELECT quote_ident(datname), age(datfrozenxid), mxid_age(datminmxid)
  FROM pg_database ORDER BY greatest(age(datfrozenxid), mxid_age(datminmxid)) DESC, 1
"""
_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname), age(c.relfrozenxid), mxid_age(c.relminmxid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 't') AND c.relfrozenxid <> '0'::xid
 ORDER BY greatest(age(c.relfrozenxid), mxid_age(c.relminmxid)) DESC LIMIT 5
"""

# The column is the owner (serial, identity) or one whose default calls the sequence.
_SEQUENCES = f"""
SELECT DISTINCT ON (q.oid, a.attrelid, a.attnum)
       format('%I.%I', n.nspname, q.relname),
       CASE WHEN tn.oid IS NOT NULL THEN format('%I.%I', tn.nspname, t.relname) END,
       quote_ident(a.attname), s.seqtypid::regtype::text, a.atttypid::regtype::text,
       v.last_value, s.seqmin, s.seqmax, s.seqincrement, s.seqcycle
  FROM pg_sequence s
  JOIN pg_class q ON q.oid = s.seqrelid
  JOIN pg_namespace n ON n.oid = q.relnamespace
  JOIN pg_sequences v ON v.schemaname = n.nspname AND v.sequencename = q.relname
  LEFT JOIN (
       SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS number
         FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
          AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
       UNION
       SELECT d.refobjid, f.adrelid, f.adnum
         FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
       ) o ON o.sequence = s.seqrelid
  LEFT JOIN pg_attribute a ON a.attrelid = o.relation AND a.attnum = o.number
  LEFT JOIN pg_class t ON t.oid = a.attrelid
  LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
 WHERE {USER_SCHEMAS} AND v.last_value IS NOT NULL
 ORDER BY q.oid, a.attrelid, a.attnum
"""
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}

# A standby receives; wal_status and safe_wal_size are of PostgreSQL 13.
_SLOTS = """
SELECT slot_name, quote_literal(slot_name), slot_type, coalesce(database, ''), active,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
                            ELSE pg_current_wal_lsn() END, restart_lsn)::bigint,
       coalesce(wal_status, ''), safe_wal_size
  FROM pg_replication_slots ORDER BY 6 DESC NULLS LAST, 1
"""


@dataclass(frozen=True, slots=True)
class Wraparound:
    """Of a database or a table: numbers used since it was last frozen. `share` of what there is."""

    kind: str
    name: str
    transactions: int
    multixacts: int
    share: float
    advice: str


@dataclass(frozen=True, slots=True)
class SequenceUse:
    """`limit` is the sequence's own, or the column's where that ends first."""

    sequence: str
    column: str
    sequence_type: str
    column_type: str
    last_value: int
    limit: int
    share: float
    advice: str


@dataclass(frozen=True, slots=True)
class ReplicationSlot:
    """`kept_bytes` of WAL stay on this server's disk for it."""

    slot: str
    kind: str
    database: str
    active: bool
    kept_bytes: int | None
    wal_status: str
    advice: str


def read_wraparound(reader: Reader, limits: Limits) -> tuple[Wraparound, ...]:
    """All databases; of this one the tables that are oldest, where there is something to do."""
    databases = [_age("database", limits, *row) for row in reader.rows(_DATABASES)]
    tables = [_age("table", limits, *row) for row in reader.rows(_TABLES)]
    return (*databases, *(table for table in tables if table.advice))


def _age(kind: str, limits: Limits, name: str, transactions: int, multixacts: int) -> Wraparound:
    share = max(transactions, multixacts) / WRAPAROUND
    advice = advise_age(kind, name, share, limits)
    return Wraparound(kind, name, transactions, multixacts, round(share, 4), advice)


def advise_age(kind: str, name: str, share: float, limits: Limits) -> str:
    """Autovacuum should have frozen it long before: something keeps it from doing so."""
    if share < limits.wraparound_share:
        return ""
    if kind == "table":
        return f"VACUUM (FREEZE, VERBOSE) {name};"
    return (
        f"end old transactions (--connections) and unread slots (--sizes), then connect to {name}"
        " and VACUUM (FREEZE);"
    )


def read_sequences(reader: Reader, limits: Limits) -> tuple[SequenceUse, ...]:
    """Those that come to their end."""
    found = []
    for name, table, column, kind, column_kind, last, low, high, step, cycles in reader.rows(
        _SEQUENCES
    ):
        own = high if step > 0 else low
        largest = _LARGEST.get(column_kind or "", abs(own))
        limit = min(abs(own), largest)
        share = abs(last) / limit if limit else 1.0
        if share < limits.sequence_share or (cycles and limit == abs(own)):
            continue
        advice = advise_sequence(name, table, column, kind, column_kind)
        place = f"{table}.{column}" if column else ""
        found.append(
            SequenceUse(name, place, kind, column_kind or "", last, limit, round(share, 4), advice)
        )
    return tuple(sorted(found, key=lambda each: -each.share))


def advise_sequence(
    name: str, table: str | None, column: str | None, kind: str, column_kind: str | None
) -> str:
    """https://www.postgresql.org/docs/current/sql-altersequence.html: AS moves a maximum that was
    the old type's own."""
    wider = f"ALTER SEQUENCE {name} AS bigint;" if kind != "bigint" else ""
    if column_kind in ("smallint", "integer"):
        change = f"ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint;"
        much = "(rewrites the table behind a lock: where it is large, fill a new column beside it)"
        return " ".join(filter(None, (wider, change, much)))
    return wider or f"ALTER SEQUENCE {name} NO MAXVALUE;"


def read_slots(reader: Reader, limits: Limits) -> tuple[ReplicationSlot, ...]:
    """The one that keeps most first."""
    return tuple(
        ReplicationSlot(
            name,
            kind,
            database,
            active,
            kept,
            status,
            advise_slot(literal, active, kept, status, limits),
        )
        for name, literal, kind, database, active, kept, status, _safe in reader.rows(_SLOTS)
    )


def advise_slot(
    literal: str, active: bool, kept_bytes: int | None, status: str, limits: Limits
) -> str:
    """Whoever comes back needs it; whoever does not fills the disk with it."""
    drop = f"SELECT pg_drop_replication_slot({literal});"
    if status == "lost":
        return f"its WAL is gone, nobody can use it any more: {drop}"
    if (kept_bytes or 0) < limits.slot_bytes:
        return ""
    if active:
        return "its reader is behind: see pg_stat_replication there, and max_slot_wal_keep_size"
    return f"nobody reads it: start its reader, or {drop}"
