"""Five wrong passwords from one client, then a pause.

Failures are counted in the database, so all replicas share one count. Within a replica the
attempts of one client are checked one after another: ten at once cannot slip through together,
and right passwords are never refused for being many. With R replicas up to R - 1 more wrong
attempts may pass.
"""

import asyncio
import math
from contextlib import AbstractAsyncContextManager
from weakref import WeakValueDictionary

from stockmind.database import Database
from stockmind.errors import ApiError

MAX_FAILURES = 5

COUNT = """
    SELECT count(*) AS failures,
           extract(epoch FROM min(failed_at) + make_interval(secs => %s) - now()) AS wait_s
      FROM login_failures
     WHERE client = %s AND failed_at > now() - make_interval(secs => %s)
"""
RECORD = "INSERT INTO login_failures (client) VALUES (%s)"
FORGET = "DELETE FROM login_failures WHERE failed_at <= now() - make_interval(secs => %s)"


class LoginLimit:
    """Counts failures per client address within a sliding window of seconds."""

    def __init__(self, database: Database, window_s: int) -> None:
        self._database = database
        self._window_s = window_s
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, client: str) -> AbstractAsyncContextManager[None]:
        """Wait until no other attempt of this client is being checked."""
        lock = self._locks.get(client)
        if lock is None:
            lock = self._locks[client] = asyncio.Lock()
        return lock

    async def check(self, client: str) -> None:
        """Raises 429 when the client has used up its attempts."""
        row = await self._database.row(COUNT, (self._window_s, client, self._window_s))
        if row is None or row["failures"] < MAX_FAILURES:
            return
        raise ApiError(
            429,
            "RATE_LIMITED",
            "Too many failed logins. Wait before the next attempt.",
            {"limit": MAX_FAILURES, "current": row["failures"]},
            retry_after=max(1, math.ceil(row["wait_s"])),
        )

    async def record_failure(self, client: str) -> None:
        async with self._database.connection() as connection:
            await connection.execute(RECORD, (client,))
            await connection.execute(FORGET, (self._window_s,))
