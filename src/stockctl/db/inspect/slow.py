"""Queries that take most of the time, by pg_stat_statements
(https://www.postgresql.org/docs/current/pgstatstatements.html)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from stockctl.db.inspect.limits import Limits
from stockctl.db.inspect.reading import Note, Reader
from stockctl.db.masking import masked

KEY = "slow_queries"
COUNT = 20

# Before 1.8 (PostgreSQL 13) the columns are total_time and mean_time; an upgraded server keeps
# the old ones until ALTER EXTENSION … UPDATE.
_WHERE = """
SELECT quote_ident(n.nspname), a.attname IS NOT NULL
  FROM pg_extension e
  JOIN pg_namespace n ON n.oid = e.extnamespace
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'pg_stat_statements'
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'total_exec_time'
 WHERE e.extname = 'pg_stat_statements'
"""
_QUERY = """
SELECT s.queryid::text, r.rolname, s.query, s.calls, s.rows, s.{total}, s.{mean},
       s.temp_blks_written, s.{total} / nullif(sum(s.{total}) OVER (), 0)
  FROM {schema}.pg_stat_statements s LEFT JOIN pg_roles r ON r.oid = s.userid
 WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
 ORDER BY s.{total} DESC LIMIT {count}
"""
_AVAILABLE = "SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'"
_PRELOADED = "SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'"


@dataclass(frozen=True, slots=True)
class SlowQuery:
    """`query` without values; `share` of the time that all queries of this database took."""

    query: str
    query_id: str
    user: str
    calls: int
    rows: int
    total_ms: float
    mean_ms: float
    temporary_bytes: int
    share: float
    advice: str


def read_slow(reader: Reader, limits: Limits) -> tuple[tuple[SlowQuery, ...], tuple[Note, ...]]:
    """Those that took most time in all, or how to have them counted."""
    found = reader.rows(_WHERE)
    if not found:
        return (), (_enable(reader, installed=False),)
    schema, new = found[0]
    total, mean = ("total_exec_time", "mean_exec_time") if new else ("total_time", "mean_time")
    query = _QUERY.format(schema=schema, total=total, mean=mean, count=COUNT)
    try:
        rows = reader.rows(query)
    except psycopg.errors.ObjectNotInPrerequisiteState:  # "must be loaded via …"
        return (), (_enable(reader, installed=True),)
    block = reader.facts.block_bytes
    return tuple(_slow(row, block, limits, schema) for row in rows if row[0] is not None), ()


def _slow(row: tuple[Any, ...], block_bytes: int, limits: Limits, schema: str) -> SlowQuery:
    """A row without a number is of somebody else, for a role without pg_read_all_stats."""
    identity, user, text, calls, rows, total, mean, blocks, share = row
    temporary, part = blocks * block_bytes, share or 0.0
    return SlowQuery(
        query=masked(text),
        query_id=identity,
        user=user or "?",
        calls=calls,
        rows=rows,
        total_ms=round(total, 3),
        mean_ms=round(mean, 3),
        temporary_bytes=temporary,
        share=round(part, 4),
        advice=advise(identity, calls, rows, mean, temporary, part, limits, schema),
    )


def advise(
    identity: str,
    calls: int,
    rows: int,
    mean_ms: float,
    temporary_bytes: int,
    share: float,
    limits: Limits,
    schema: str = "public",
) -> str:
    """What to look at; nothing for a query that is quick and takes a small part."""
    look = (
        f"SELECT query FROM {schema}.pg_stat_statements WHERE queryid = {identity};"
        " then EXPLAIN (ANALYZE, BUFFERS) it with real values"
    )
    if mean_ms >= limits.slow_mean_ms and temporary_bytes:
        return f"sorts or joins on disk: raise work_mem for it, or sort less; {look}"
    if mean_ms >= limits.slow_mean_ms:
        return look
    if share >= limits.slow_share and calls and rows / calls >= limits.rows_a_call:
        return f"fetches {rows // calls} rows a call: add a LIMIT or a condition"
    if share >= limits.slow_share and mean_ms * calls >= 1000 * limits.slow_mean_ms:
        return "quick, but called very often: fetch for many at once, or keep the answer"
    return ""


def _enable(reader: Reader, *, installed: bool) -> Note:
    """Each library quoted by itself: `'a, b'` in one pair of quotes would be one library's name."""
    if not installed and not reader.rows(_AVAILABLE):
        message = "pg_stat_statements is not on this server"
        return Note(KEY, message, "install the server's contrib package (postgresql-contrib)")
    known = reader.rows(_PRELOADED)
    others = [name.strip() for name in known[0][0].split(",") if name.strip()] if known else []
    if "pg_stat_statements" in others:
        return Note(KEY, "not counted in this database yet", "CREATE EXTENSION pg_stat_statements;")
    libraries = ", ".join(f"'{name}'" for name in (*others, "pg_stat_statements"))
    steps = f"ALTER SYSTEM SET shared_preload_libraries = {libraries};"
    steps += " restart the server"
    if not known:
        steps += " (keep what SHOW shared_preload_libraries says to a superuser)"
    if not installed:
        steps += "; CREATE EXTENSION pg_stat_statements;"
    return Note(KEY, "nobody counts queries here", steps)
