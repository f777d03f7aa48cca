"""Is a pooler between us and the server, and does it keep a session together?

Behind PgBouncer in transaction mode each transaction may run in another server process: a session
lock stays behind with whoever comes next, and so does every `SET`
(https://www.pgbouncer.org/features.html, "SQL feature map for pooling modes"). Its pool mode is
told on its admin console only, so both questions are answered by what it does.
"""

from __future__ import annotations

import select
from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from stockctl.core.errors import Refused

if TYPE_CHECKING:
    from psycopg import Connection

    from stockctl.system.postgres import Dsn

# In transaction mode the first round tells: PgBouncer hands out the server that came back last
# (`server_round_robin`, off by default). More rounds are for a pool that others are busy in.
ROUNDS = 5
PATIENCE_S = 2.0  # for a second server connection; a pool that is used up gives none
_PID = "SELECT pg_backend_pid()"


class Pooling(StrEnum):
    """Who answers us."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"
    UNKNOWN = "unknown"

    @property
    def keeps_sessions(self) -> bool:
        return self in (Pooling.NONE, Pooling.SESSION)


def pooling(dsn: Dsn, connection: Connection[Any]) -> Pooling:
    """One question to a server; to a pooler some more, with a second connection.

    PostgreSQL opens a session with the number of its process (BackendKeyData,
    https://www.postgresql.org/docs/current/protocol-message-formats.html); PgBouncer with random
    bytes, "each client its own cancel key" (`welcome_client` in its src/proto.c).
    """
    if _ask(connection) == connection.info.backend_pid:
        return Pooling.NONE
    import psycopg

    with closing(psycopg.connect(**dsn.parameters(), autocommit=True)) as second:
        return _mode(connection, second)


def require_session(dsn: Dsn, connection: Connection[Any], what: str) -> None:
    """Raises Refused unless what we set and lock stays ours until we close."""
    found = pooling(dsn, connection)
    if found.keeps_sessions:
        return
    seen = "pools transactions" if found is Pooling.TRANSACTION else "gives one connection only"
    raise Refused(
        f"cannot {what} through the pooler at {dsn.host}:{dsn.port}, which {seen}",
        details="Locks and settings of a session would be left with another client.",
        hint="Put PostgreSQL's own address in database.url, or a pool with pool_mode = session.",
    )


def _mode(connection: Connection[Any], second: Connection[Any]) -> Pooling:
    """Two clients that both have a session have two processes, each the same one for ever."""
    for _ in range(ROUNDS):
        first = _ask(connection)
        held = _held(second)
        if held is None:
            return Pooling.UNKNOWN
        moved = held == first or _ask(connection) != first
        second.execute("ROLLBACK")  # or the pooler would throw that server connection away
        if moved:
            return Pooling.TRANSACTION
    return Pooling.SESSION


def _ask(connection: Connection[Any]) -> int:
    found = connection.execute(_PID).fetchone()
    return int(found[0]) if found else 0


def _held(connection: Connection[Any]) -> int | None:
    """The process that a transaction of ours keeps; None where there is none to be had."""
    from psycopg import generators
    from psycopg.pq import ExecStatus

    connection.pgconn.send_query(f"BEGIN; {_PID}".encode())
    if not select.select([connection.fileno()], [], [], PATIENCE_S)[0]:
        return None
    last = connection.wait(generators.execute(connection.pgconn))[-1]
    value = last.get_value(0, 0) if last.status == ExecStatus.TUPLES_OK else None
    return int(value) if value else None  # pool_mode = statement refuses BEGIN
