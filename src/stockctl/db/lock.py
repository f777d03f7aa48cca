"""The lock that one migration of a database at a time has: an advisory one, named by its holder.

It dies with its session. It is polled for: a session that waits inside pg_advisory_lock holds a
snapshot, for which somebody's CREATE INDEX CONCURRENTLY waits, and the two wait for each other.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from stockctl.core.clock import Clock
from stockctl.core.errors import Locked

# "stoc", "migr": the two halves of the advisory lock's key
LOCK_KEY = (0x73746F63, 0x6D696772)
LOCK_WAIT_S = 60.0
_POLL_S = 0.25
_RETRY_S = 5.0

# A migration's transaction begins with the lock once more, for as long as it lives: whatever a
# file before it did (pg_advisory_unlock_all), no two run at once. 1 / 0 where somebody has it.
FENCE = f"SELECT 1 / pg_catalog.pg_try_advisory_xact_lock({LOCK_KEY[0]}, {LOCK_KEY[1]})::int; "
_HOLDER = """
SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'a local socket'), a.backend_start
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND (l.classid, l.objid, l.objsubid) = (%s, %s, 2)
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def hold(connection: Connection[Any], clock: Clock, wait_s: float) -> None:
    """The lock, until the connection closes. Raises Locked."""
    deadline = clock.monotonic() + wait_s
    while not _try(connection):
        if clock.monotonic() >= deadline:
            raise locked(connection)
        clock.sleep(min(_POLL_S, wait_s))


def _try(connection: Connection[Any]) -> bool:
    got = connection.execute("SELECT pg_try_advisory_lock(%s::int, %s::int)", LOCK_KEY)
    return got.fetchone() == (True,)


def locked(connection: Connection[Any]) -> Locked:
    """With who has it."""
    holder = connection.execute(_HOLDER, LOCK_KEY).fetchone()
    if holder is None:
        return Locked("another migration held the lock until now", retry_after_s=0)
    pid, application, client, since = holder
    return Locked(
        f"{application or 'another session'} is migrating this database"
        f" (PostgreSQL process {pid}, from {client}, since {since:%Y-%m-%d %H:%M:%S %Z})",
        hint="Wait until it is done and run the command again.",
        retry_after_s=_RETRY_S,
    )
