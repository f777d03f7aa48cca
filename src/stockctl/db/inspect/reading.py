"""A read-only look at a database, and what one must know to judge it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

from stockctl.system.postgres import Database, errors

STATEMENT_TIMEOUT = "15s"  # reading catalogs takes milliseconds; on a server in trouble, seconds
LOCK_TIMEOUT = "1s"  # a look must not queue before those who work

# In queries: `n` is pg_namespace.
USER_SCHEMAS = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
)

# In the transaction, not the session: behind a pooler the next client would inherit a session's.
_BEGIN = f"""
BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY;
SET LOCAL default_transaction_read_only = on;
SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}';
SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';
SET LOCAL search_path = pg_catalog;
SET LOCAL standard_conforming_strings = on;
"""

_FACTS = """
SELECT current_database(), current_user, current_setting('server_version_num')::int,
       current_setting('block_size')::int, now(),
       coalesce(d.stats_reset, pg_postmaster_start_time()),
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
       pg_is_in_recovery()
  FROM pg_stat_database d WHERE d.datname = current_database()
"""

# Statistics survive a restart, but not a crash: then the server's begin anew. They are no older
# than the database, whose PG_VERSION is written when it is created.
_NEVER_RESET = """
SELECT FROM pg_stat_database
 WHERE datname = current_database() AND stats_reset IS NULL
   AND has_function_privilege('pg_stat_file(text, boolean)', 'EXECUTE')
"""
_COUNTED_SINCE = """
SELECT greatest(b.stats_reset, f.modification)
  FROM pg_stat_bgwriter b, pg_stat_file(
       (SELECT format('base/%s/PG_VERSION', oid) FROM pg_database
         WHERE datname = current_database()), true) f
 WHERE f.modification IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """`counted_since`: statistics are at least that old. `version` as 180001."""

    database: str
    user: str
    version: int
    block_bytes: int
    now: datetime
    counted_since: datetime
    sees_all: bool
    standby: bool

    @property
    def counted_s(self) -> float:
        return (self.now - self.counted_since).total_seconds()


@dataclass(frozen=True, slots=True)
class Note:
    """What the rows of a section (empty: of any) do not say by themselves, and what to do."""

    section: str
    message: str
    advice: str = ""


class Reader:
    """Asks one question after another in a transaction that can change nothing."""

    def __init__(self, connection: Connection[Any]) -> None:
        connection.prepare_threshold = None  # a pooler may give each transaction another server
        self._connection = connection
        [row] = self.rows(_FACTS)
        self.facts = Facts(*row)
        known = self.rows(_COUNTED_SINCE) if self.rows(_NEVER_RESET) else []
        if known:
            self.facts = replace(self.facts, counted_since=known[0][0])

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """In a savepoint: one question that fails must not take the others along."""
        with self._connection.transaction(), self._connection.cursor(row_factory=tuple_row) as ask:
            return ask.execute(query.encode(), parameters or None).fetchall()


@contextmanager
def open_reader(database: Database) -> Iterator[Reader]:
    """Raises DatabaseFailed, also for a question that takes too long."""
    with errors(f"inspect {database.dsn}"), database.connect() as connection:
        connection.execute(_BEGIN)
        try:
            yield Reader(connection)
        finally:
            if not connection.closed:
                connection.execute("ROLLBACK")
