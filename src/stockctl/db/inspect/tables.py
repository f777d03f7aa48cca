"""Tables: how large, how much of it air, when vacuumed and analyzed, read as a whole or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stockctl.db.inspect.limits import Limits
from stockctl.db.inspect.reading import USER_SCHEMAS, Reader

COUNT = 20

# `free` is an estimate: rows times their average width (pg_stats), with 24 bytes of header and 4
# of line pointer each, against the pages that are there. Wide values outside the line and
# alignment are not seen. pgstattuple measures, and reads all of the table to do so.
_TABLES = f"""
SELECT format('%I.%I', n.nspname, t.relname), pg_total_relation_size(t.oid),
       pg_relation_size(t.oid), pg_indexes_size(t.oid), s.n_live_tup, s.n_dead_tup,
       greatest(s.last_vacuum, s.last_autovacuum), greatest(s.last_analyze, s.last_autoanalyze),
       CASE WHEN t.reltuples > 0 AND w.width IS NOT NULL THEN
         greatest(0, pg_relation_size(t.oid) - ceil(t.reltuples * (28 + w.width) * 1.0
           / (current_setting('block_size')::int - 24)
           * 100 / coalesce(substring(array_to_string(t.reloptions, ' ')
                                      FROM 'fillfactor=([0-9]+)')::int, 100))
           * current_setting('block_size')::int)::bigint END,
       coalesce(array_to_string(t.reloptions, ' ') ~ 'autovacuum_enabled=(false|off|0|no)', false),
       s.seq_scan, s.seq_tup_read, coalesce(s.idx_scan, 0)
  FROM pg_class t
  JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_stat_user_tables s ON s.relid = t.oid
  LEFT JOIN LATERAL (
       SELECT sum((1 - p.null_frac) * p.avg_width) FROM pg_stats p
        WHERE p.schemaname = n.nspname AND p.tablename = t.relname AND NOT p.inherited
       HAVING count(*) = (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = t.oid
                             AND a.attnum > 0 AND NOT a.attisdropped)) w (width) ON true
 WHERE {USER_SCHEMAS} AND t.relkind IN ('r', 'm')
 ORDER BY 2 DESC, 1
"""


@dataclass(frozen=True, slots=True)
class TableSize:
    """`free_bytes` is an estimate of what the table could do without; None: not known."""

    table: str
    total_bytes: int
    table_bytes: int
    index_bytes: int
    rows: int
    dead_rows: int
    vacuumed_at: datetime | None
    analyzed_at: datetime | None
    free_bytes: int | None
    advice: str


@dataclass(frozen=True, slots=True)
class SequentialScans:
    """A large table that is read as a whole, again and again."""

    table: str
    table_bytes: int
    sequential_scans: int
    index_scans: int
    rows_a_scan: int
    advice: str


def read_tables(reader: Reader, limits: Limits) -> tuple[TableSize, ...]:
    """The largest, and those with something to do."""
    sizes: list[TableSize] = []
    for table, total, heap, indexes, rows, dead, vacuumed, analyzed, free, off, *_ in reader.rows(
        _TABLES
    ):
        advice = advise_vacuum(table, heap, rows, dead, analyzed is not None, free, off, limits)
        if advice or len(sizes) < COUNT:
            sizes.append(
                TableSize(table, total, heap, indexes, rows, dead, vacuumed, analyzed, free, advice)
            )
    return tuple(sizes)


def read_scans(reader: Reader, limits: Limits) -> tuple[SequentialScans, ...]:
    """What costs most first."""
    found = []
    for table, _, heap, *_, sequential, read, by_index in reader.rows(_TABLES):
        if scanned_too_often(heap, sequential, by_index, limits):
            advice = (
                "stockctl db inspect ENV --slow names the queries; CREATE INDEX CONCURRENTLY"
                f" ON {table} (…the columns of their conditions…);"
            )
            each = read // sequential
            found.append(SequentialScans(table, heap, sequential, by_index, each, advice))
    return tuple(sorted(found, key=lambda scan: -scan.sequential_scans * scan.table_bytes))


def scanned_too_often(table_bytes: int, sequential: int, by_index: int, limits: Limits) -> bool:
    """Large, often, and not just now and then."""
    often = sequential >= limits.scans
    share = sequential / (sequential + by_index) if sequential else 0
    return table_bytes >= limits.scanned_bytes and often and share >= limits.scan_share


def advise_vacuum(
    table: str,
    table_bytes: int,
    rows: int,
    dead: int,
    analyzed: bool,
    free_bytes: int | None,
    autovacuum_off: bool,
    limits: Limits,
) -> str:
    """The first that holds: it is never cleaned, is behind, is not known to the planner, is air."""
    if autovacuum_off:
        return f"autovacuum is off: ALTER TABLE {table} RESET (autovacuum_enabled);"
    if dead >= limits.dead_rows and dead >= limits.dead_share * (rows + dead):
        held = "if the dead rows stay, an old transaction needs them: --connections"
        return f"VACUUM (ANALYZE) {table}; {held}"
    if rows + dead >= limits.dead_rows and not analyzed:
        return f"ANALYZE {table};"
    large = free_bytes is not None and free_bytes >= limits.bloat_bytes
    if large and (free_bytes or 0) >= limits.bloat_share * table_bytes:
        return (
            "new rows will fill it; to give it back to the disk: pg_repack, or"
            f" VACUUM FULL {table}; which locks everybody out until it is done"
        )
    return ""
