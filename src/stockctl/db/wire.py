"""One text of SQL as one simple query, with all that the server answers to it.

A cursor keeps the number of results to itself, and that number tells which statement failed.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import ConnStatus, Escaping, ExecStatus

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.pq.abc import PGresult

_COPYING = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)
# What the server parses our texts by, and a file may have changed for the session. It tells the
# client of each change (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC).
_READING = {b"client_encoding": b"UTF8", b"standard_conforming_strings": b"on"}


def ask(
    connection: Connection[Any],
    text: bytes,
    *,
    silence_s: float = 0.0,
    on_silence: Callable[[], None] | None = None,
) -> list[PGresult]:
    """The results; the last one may be an error. Raises psycopg.Error when the connection is gone.

    `on_silence` is called each time that the server has said nothing for `silence_s`. An
    interrupt leaves the statement running: the caller closes the connection.
    """
    pgconn = connection.pgconn
    pgconn.send_query(text)
    while pgconn.flush():
        readable, _, _ = select.select([pgconn.socket], [pgconn.socket], [])
        if readable:
            pgconn.consume_input()
    results: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            if select.select([pgconn.socket], [], [], silence_s if on_silence else None)[0]:
                pgconn.consume_input()
            elif on_silence:
                on_silence()
        result = pgconn.get_result()
        if result is None:
            break
        results.append(result)
        if result.status in _COPYING:
            break
    if pgconn.status == ConnStatus.BAD and (not results or failure(results) is None):
        raise psycopg.OperationalError("the connection was closed")
    return results


def failure(results: list[PGresult]) -> psycopg.Error | None:
    """What the last statement that ran failed with."""
    last = results[-1]
    if last.status == ExecStatus.FATAL_ERROR:
        return psycopg.errors.error_from_result(last)
    if last.status in _COPYING:
        return psycopg.ProgrammingError("COPY from or to the client has no client here")
    return None


def readable(connection: Connection[Any]) -> bool:
    """Whether the server would read a text of ours as it is meant."""
    pgconn = connection.pgconn
    return all(pgconn.parameter_status(name) == value for name, value in _READING.items())


def literal(connection: Connection[Any], value: str | bool | float | None) -> bytes:
    """A value in a text of SQL; right also where backslashes are not taken as they stand."""
    if value is None:
        return b"NULL"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, float):
        return repr(value).encode()
    return bytes(Escaping(connection.pgconn).escape_literal(value.encode()))
