"""Indexes that nobody uses, that cost twice, that are broken, that are missing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from stockctl.core.units import format_duration
from stockctl.db.inspect.limits import Limits
from stockctl.db.inspect.reading import USER_SCHEMAS, Note, Reader

# Left out: what guards rows (unique, exclusion, a constraint's), identifies them to a replica, is
# part of a partitioned table's index, serves a foreign key, or gives statistics of an expression.
_UNUSED = f"""
SELECT format('%I.%I', n.nspname, t.relname), format('%I.%I', n.nspname, c.relname),
       pg_relation_size(c.oid), s.idx_scan
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid
 WHERE {USER_SCHEMAS} AND s.idx_scan = 0 AND i.indisvalid AND i.indisready
   AND NOT (i.indisunique OR i.indisprimary OR i.indisexclusion OR i.indisreplident)
   AND i.indexprs IS NULL AND NOT c.relispartition
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
   AND NOT EXISTS (
         SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = i.indrelid
            AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
 ORDER BY 3 DESC, 2
"""

_INVALID = f"""
SELECT format('%I.%I', n.nspname, t.relname), format('%I.%I', n.nspname, c.relname), c.relname,
       c.relkind = 'I', i.indisunique,
       (SELECT p.pid FROM pg_stat_progress_create_index p
         WHERE p.index_relid = i.indexrelid AND p.datname = current_database() LIMIT 1)
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE {USER_SCHEMAS} AND NOT (i.indisvalid AND i.indisready)
 ORDER BY 2
"""

# Some index must begin with the columns of the key, in any order; a partial one helps only where
# it leaves out nothing but NULL.
_FOREIGN_KEYS = f"""
SELECT format('%I.%I', n.nspname, t.relname), quote_ident(k.conname), k.confrelid::regclass::text,
       ARRAY(SELECT quote_ident(a.attname) FROM unnest(k.conkey) WITH ORDINALITY u (attnum, place)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
              ORDER BY u.place),
       pg_total_relation_size(t.oid), t.relkind = 'p'
  FROM pg_constraint k
  JOIN pg_class t ON t.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE {USER_SCHEMAS} AND k.contype = 'f' AND k.conparentid = 0
   AND NOT EXISTS (
         SELECT FROM pg_index i
          WHERE i.indrelid = k.conrelid AND i.indisvalid
            AND (i.indpred IS NULL
                 OR pg_get_expr(i.indpred, i.indrelid) ~ '^\\(?\\w+ IS NOT NULL\\)?$')
            AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
 ORDER BY 5 DESC, 1, 2
"""
_REINDEXED = re.compile(r"_cc(?:new|old)\d*$")


@dataclass(frozen=True, slots=True)
class UnusedIndex:
    """Not scanned once since the statistics began."""

    index: str
    table: str
    size_bytes: int
    scans: int
    advice: str


@dataclass(frozen=True, slots=True)
class InvalidIndex:
    """Takes its part in every write and serves no query."""

    index: str
    table: str
    building_pid: int | None
    advice: str


@dataclass(frozen=True, slots=True)
class UnindexedForeignKey:
    """Each delete in `references` reads all of `table`."""

    table: str
    constraint: str
    columns: tuple[str, ...]
    references: str
    table_bytes: int
    advice: str


def read_unused(reader: Reader, limits: Limits) -> tuple[tuple[UnusedIndex, ...], tuple[Note, ...]]:
    """The large ones first; what to do depends on how long somebody has been counting."""
    counted_s = reader.facts.counted_s
    found = tuple(
        UnusedIndex(index, table, size, scans, advise_unused(index, counted_s, limits))
        for table, index, size, scans in reader.rows(_UNUSED)
        if size >= limits.unused_bytes
    )
    notes = []
    if found and counted_s < limits.unused_after_s:
        message = f"scans are counted for {format_duration(counted_s)} only"
        notes.append(Note("unused_indexes", message, "drop nothing yet"))
    if found:
        message = "scans on a standby are not counted here"
        notes.append(Note("unused_indexes", message, "look there too before you drop one"))
    return found, tuple(notes)


def advise_unused(index: str, counted_s: float, limits: Limits) -> str:
    """To drop it, once the statistics are old enough to know."""
    drop = f"DROP INDEX CONCURRENTLY {index};"
    left = limits.unused_after_s - counted_s
    return drop if left <= 0 else f"if still unused in {format_duration(left)}: {drop}"


def read_invalid(reader: Reader) -> tuple[InvalidIndex, ...]:
    """Left by a build that failed, or being built."""
    return tuple(_invalid(*row) for row in reader.rows(_INVALID))


def _invalid(
    table: str, index: str, name: str, partitioned: bool, unique: bool, pid: int | None
) -> InvalidIndex:
    """https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY says what
    is to be done with _ccnew and _ccold."""
    if pid is not None:
        advice = f"being built by process {pid}: wait"
    elif partitioned:
        advice = f"a partition has no such index: build it, ALTER INDEX {index} ATTACH PARTITION …;"
    elif _REINDEXED.search(name):
        advice = f"DROP INDEX CONCURRENTLY {index};"
    else:
        first = "remove what is there twice, then " if unique else ""
        advice = f"{first}REINDEX INDEX CONCURRENTLY {index};"
    return InvalidIndex(index, table, pid, advice)


def read_foreign_keys(reader: Reader) -> tuple[UnindexedForeignKey, ...]:
    """The large tables first."""
    return tuple(_foreign_key(*row) for row in reader.rows(_FOREIGN_KEYS))


def _foreign_key(
    table: str, name: str, references: str, columns: Any, size: int, partitioned: bool
) -> UnindexedForeignKey:
    listed = ", ".join(columns)
    # CONCURRENTLY is not for a partitioned table (sql-createindex, "Building Indexes Concurrently")
    how = "ON ONLY" if partitioned else "ON"
    begin = "CREATE INDEX" if partitioned else "CREATE INDEX CONCURRENTLY"
    tail = " then CONCURRENTLY on each partition, and ATTACH" if partitioned else ""
    advice = f"{begin} {how} {table} ({listed});{tail}"
    return UnindexedForeignKey(table, name, tuple(columns), references, size, advice)
