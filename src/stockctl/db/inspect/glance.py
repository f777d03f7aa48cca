"""The two figures that say whether a server is in trouble, in one cheap question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row

# superuser_reserved_connections are for nobody else. Waits are those of this database.
_GLANCE = """
SELECT count(*) FILTER (WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
       current_setting('max_connections')::int
       - current_setting('superuser_reserved_connections')::int,
       count(*) FILTER (WHERE wait_event_type = 'Lock' AND datname = current_database()),
       coalesce(extract(epoch FROM max(clock_timestamp() - query_start)
         FILTER (WHERE wait_event_type = 'Lock' AND datname = current_database())), 0)::float8
  FROM pg_stat_activity
"""


@dataclass(frozen=True, slots=True)
class Glance:
    """`room` is how many connections there may be. A wait is counted from its statement's start."""

    connections: int
    room: int
    waiting: int
    longest_s: float


def read_glance(connection: Connection[Any]) -> Glance:
    """Raises psycopg.Error."""
    with connection.cursor(row_factory=tuple_row) as ask:
        row = ask.execute(_GLANCE).fetchone()
    assert row is not None
    return Glance(*row)
