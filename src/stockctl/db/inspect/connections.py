"""Who is connected, how many more may come, and who holds something for too long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stockctl.db.inspect.limits import Limits
from stockctl.db.inspect.reading import Reader
from stockctl.db.masking import masked

# reserved_connections is of PostgreSQL 16. Walsenders have places of their own since 12.
_ROOM = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int,
       current_setting('superuser_reserved_connections')::int,
       coalesce(current_setting('reserved_connections', true), '0')::int
"""
_GROUPS = """
SELECT coalesce(application_name, ''), coalesce(usename, ''), coalesce(datname, ''),
       coalesce(state, '?'), count(*), max(now() - state_change)
  FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
 GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4
"""
# What keeps a transaction open: vacuum cleans nothing that it might still see, in any database
# (https://www.postgresql.org/docs/current/routine-vacuuming.html).
_SESSIONS = """
SELECT pid, coalesce(application_name, ''), coalesce(usename, ''), state,
       extract(epoch FROM clock_timestamp() - xact_start)::float8,
       extract(epoch FROM clock_timestamp() - state_change)::float8, coalesce(query, '')
  FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND datname = current_database()
   AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
 ORDER BY xact_start
"""
_PREPARED = """
SELECT gid, owner::text, prepared, extract(epoch FROM clock_timestamp() - prepared)::float8,
       format('%L', gid)
  FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared
"""
IDLE = "idle in transaction"


@dataclass(frozen=True, slots=True)
class Room:
    """Connections of clients to the whole server. `reserved` are not for everybody."""

    used: int
    maximum: int
    reserved: int
    advice: str

    @property
    def free(self) -> int:
        return max(0, self.maximum - self.reserved - self.used)


@dataclass(frozen=True, slots=True)
class ConnectionGroup:
    """Connections that are alike. `longest_s` is how long one of them has been in that state."""

    application: str
    user: str
    database: str
    state: str
    count: int
    longest_s: float | None
    advice: str = ""


@dataclass(frozen=True, slots=True)
class LongSession:
    """A transaction that is open for long, at work or forgotten."""

    pid: int
    application: str
    user: str
    state: str
    transaction_s: float
    state_s: float
    query: str
    advice: str


@dataclass(frozen=True, slots=True)
class PreparedTransaction:
    """Waits for its second phase, with all its locks; it survives a restart."""

    name: str
    owner: str
    prepared_at: datetime
    age_s: float
    advice: str


def read_room(reader: Reader, limits: Limits) -> tuple[Room, ...]:
    """The whole server's: the limit is, too."""
    [(used, maximum, superusers, others)] = reader.rows(_ROOM)
    reserved = superusers + others
    return (Room(used, maximum, reserved, advise_room(used, maximum, reserved, limits)),)


def read_groups(reader: Reader) -> tuple[ConnectionGroup, ...]:
    """The largest first."""
    return tuple(
        ConnectionGroup(application, user, database, state, count, age and age.total_seconds())
        for application, user, database, state, count, age in reader.rows(_GROUPS)
    )


def advise_room(used: int, maximum: int, reserved: int, limits: Limits) -> str:
    """Before the first client is refused."""
    usable = maximum - reserved
    if used < limits.connections_share * usable:
        return ""
    return (
        f"{used} of {usable} for everybody: make the applications' pools smaller or put PgBouncer"
        f" before them; else ALTER SYSTEM SET max_connections = {maximum * 2}; and restart"
    )


def read_sessions(reader: Reader, limits: Limits) -> tuple[LongSession, ...]:
    """The oldest transaction first."""
    found = []
    for pid, application, user, state, transaction_s, state_s, query in reader.rows(_SESSIONS):
        advice = advise_session(pid, state or "", transaction_s, state_s, limits)
        if advice:
            times = round(transaction_s, 1), round(state_s or 0.0, 1)
            found.append(
                LongSession(pid, application, user, state or "?", *times, masked(query), advice)
            )
    return tuple(found)


def advise_session(
    pid: int, state: str, transaction_s: float, state_s: float | None, limits: Limits
) -> str:
    """A forgotten one is ended, a working one is asked to stop."""
    if state.startswith(IDLE):
        if (state_s or 0.0) < limits.idle_in_transaction_s:
            return ""
        return f"SELECT pg_terminate_backend({pid}); and end transactions before waiting for others"
    if transaction_s < limits.active_s:
        return ""
    return f"SELECT pg_cancel_backend({pid}); unless it is meant to take that long"


def read_prepared(reader: Reader, limits: Limits) -> tuple[PreparedTransaction, ...]:
    """The oldest first."""
    return tuple(
        PreparedTransaction(name, owner, at, round(age_s, 1), _finish(literal, age_s, limits))
        for name, owner, at, age_s, literal in reader.rows(_PREPARED)
    )


def _finish(literal: str, age_s: float, limits: Limits) -> str:
    if age_s < limits.prepared_s:
        return ""
    return f"ROLLBACK PREPARED {literal}; or COMMIT PREPARED, as its transaction manager says"
