"""Who keeps a migration waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg.rows import class_row

from stockctl.core.errors import DatabaseFailed
from stockctl.db.masking import masked
from stockctl.system.postgres import Database

if TYPE_CHECKING:
    from psycopg import Connection

_LONGEST = 120  # characters of a query
# 0 among the blocking processes is a prepared transaction
# (https://www.postgresql.org/docs/current/functions-info.html, pg_blocking_pids)
_FIND = """
SELECT b.pid, coalesce(a.usename::text, '') AS user, coalesce(a.state, '') AS state,
       coalesce(nullif(a.application_name, ''), a.backend_type, 'a prepared transaction')
           AS application,
       coalesce(a.xact_start, a.backend_start) AS since, coalesce(a.query, '') AS query
  FROM (SELECT DISTINCT unnest(pg_blocking_pids(%s)) AS pid) b
  LEFT JOIN pg_stat_activity a ON a.pid = b.pid
 ORDER BY since
"""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds what a migration wants, or waits for it in front of the migration.

    `since`: its transaction. `query` is its last one, without the values in it.
    """

    pid: int
    application: str
    user: str
    state: str
    since: datetime | None
    query: str

    def __str__(self) -> str:
        since = f", since {self.since:%Y-%m-%d %H:%M:%S %Z}" if self.since else ""
        by = f" of {self.user}" if self.user else ""
        state = f", {self.state}" if self.state else ""
        return f"process {self.pid} ({self.application}{by}{state}){since}: {self.query}"


def find_blockers(connection: Connection[Any], pid: int) -> tuple[Blocker, ...]:
    """Those for whom the session `pid` waits; none when it does not."""
    with connection.cursor(row_factory=class_row(Blocker)) as cursor:
        found = cursor.execute(_FIND, (pid,)).fetchall()
    return tuple(replace(each, query=_short(masked(each.query))) for each in found)


def _short(query: str) -> str:
    return query if len(query) <= _LONGEST else f"{query[: _LONGEST - 2]} …"


def listed(blockers: Sequence[Blocker]) -> str:
    """For an error's details."""
    return "\n".join(f"held by {blocker}" for blocker in blockers)


class Watch:
    """Looks from a second connection for whom a statement of the first one waits.

    After the wait was cut short nobody could tell any more. The connection is opened when there
    is something to look for; where it cannot be had, nobody is named.
    """

    def __init__(self, database: Database, watched: Connection[Any]) -> None:
        self._database = database
        self._pid = watched.info.backend_pid
        self._own: Connection[Any] | None = None
        self.seen: tuple[Blocker, ...] = ()
        self._tell: Callable[[Sequence[Blocker]], None] | None = None

    @contextmanager
    def telling(self, tell: Callable[[Sequence[Blocker]], None]) -> Iterator[None]:
        """Calls `tell` within the block each time that it is others for whom it waits."""
        self._tell = tell
        try:
            yield
        finally:
            self._tell = None

    def begin(self) -> None:
        """Forget: another statement runs now."""
        self.seen = ()

    def look(self) -> None:
        """Remember for whom it waits, if it does."""
        with suppress(psycopg.Error, DatabaseFailed):
            if found := find_blockers(self._open(), self._pid):
                others = {each.pid for each in found} != {each.pid for each in self.seen}
                self.seen = found
                if others and self._tell:
                    self._tell(found)

    def get_ready(self) -> None:
        """So that the next look is quick: the wait to look at may be a short one."""
        with suppress(DatabaseFailed):
            self._open()

    def _open(self) -> Connection[Any]:
        if self._own is None:
            self._own = self._database.connect()
        return self._own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._own is not None:
            self._own.close()
