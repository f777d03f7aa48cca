"""The pool of Postgres connections, and what the service does when one has died."""

import select
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, OperationalError
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

Row = dict[str, Any]
Connection = AsyncConnection[Row]

CONNECT_TIMEOUT_S = 3
CHECKOUT_TIMEOUT_S = 3.0
HEALTH_TIMEOUT_S = 1.5
STATEMENT_TIMEOUT = "10s"
MAX_WAITING = 500
TABLES = (
    "users",
    "projects",
    "instagram_sources",
    "instagram_items",
    "api_keys",
    "login_failures",
)


def _is_stale(connection: Connection) -> bool:
    """True when an idle connection has something to read: the server has said goodbye."""
    try:
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN)
        return bool(poller.poll(0))
    except OperationalError:
        return True


async def _configure(connection: Connection) -> None:
    await connection.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'")


class Database:
    """Short statements on pooled connections; never runs migrations."""

    def __init__(self, url: str, pool_size: int) -> None:
        self._pool = AsyncConnectionPool(
            make_conninfo(url, connect_timeout=CONNECT_TIMEOUT_S, application_name="stockmind"),
            open=False,
            min_size=min(2, pool_size),
            max_size=pool_size,
            timeout=CHECKOUT_TIMEOUT_S,
            max_waiting=MAX_WAITING,
            # Give up early: the next request starts afresh instead of waiting out a long back-off.
            reconnect_timeout=5,
            configure=_configure,
            kwargs={"autocommit": True, "row_factory": dict_row},
        )
        self._pool_size = pool_size
        self._in_use = 0

    async def open(self) -> None:
        """Start connecting in the background; a database that is down does not stop the start."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def connection(self, timeout_s: float = CHECKOUT_TIMEOUT_S) -> AsyncIterator[Connection]:
        """A connection that was alive a moment ago.

        After a restart or a restore of the database the pool is full of dead connections;
        they are thrown away here instead of failing one request each.
        """
        connection = await self._pool.getconn(timeout_s)
        for _ in range(self._pool_size):
            if not _is_stale(connection):
                break
            await connection.close()
            await self._pool.putconn(connection)
            connection = await self._pool.getconn(timeout_s)
        self._in_use += 1
        try:
            yield connection
        finally:
            self._in_use -= 1
            await self._pool.putconn(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def row(self, query: str, params: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""
        async with self.connection() as connection:
            return await (await connection.execute(query, params)).fetchone()

    async def execute(self, query: str, params: Sequence[object] = ()) -> None:
        async with self.connection() as connection:
            await connection.execute(query, params)

    async def state(self) -> str:
        """`up`, `down` or `schema missing`."""
        query = "SELECT bool_and(to_regclass(name) IS NOT NULL) AS ok FROM unnest(%s::text[]) name"
        try:
            async with self.connection(HEALTH_TIMEOUT_S) as connection:
                row = await (await connection.execute(query, [list(TABLES)])).fetchone()
        except OperationalError:
            return "down"
        return "up" if row and row["ok"] else "schema missing"

    def active(self) -> int:
        """Connections that are in use right now; the pool's own count includes attempts."""
        return self._in_use
