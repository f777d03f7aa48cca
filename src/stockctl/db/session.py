"""One connection that holds the migration lock and runs files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection, generators, sql
from psycopg.pq import ExecStatus, TransactionStatus

from stockctl.core.clock import Clock
from stockctl.core.errors import Locked
from stockctl.db.backend import Backend
from stockctl.db.failure import failed
from stockctl.db.record import create_table
from stockctl.system.journal_file import operator
from stockctl.system.pooler import require_session
from stockctl.system.postgres import CLIENT_CHECK, Database, errors

# "stoc", "migr": the two halves of the advisory lock's key
LOCK_KEY = (0x73746F63, 0x6D696772)
_POLL_S = 0.25
_RETRY_S = 5.0
_NAME_LIMIT = 63  # bytes, NAMEDATALEN - 1

# DISCARD ALL without its pg_advisory_unlock_all, and allowed inside a transaction
# (https://www.postgresql.org/docs/current/sql-discard.html)
_FORGET = """
CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; DEALLOCATE ALL; UNLISTEN *;
DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES;
"""
_SETTINGS = """
SELECT set_config(name, value, false) FROM (VALUES
    ('application_name', {application}), ('lock_timeout', {lock}), ('statement_timeout', {run}),
    ('idle_in_transaction_session_timeout', '0'), ('client_connection_check_interval', {check}),
    ('client_encoding', 'UTF8'), ('standard_conforming_strings', 'on')) AS wanted (name, value)
 WHERE current_setting(name, true) IS NOT NULL
"""
_HOLDER = """
SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'a local socket'), a.backend_start
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND (l.classid, l.objid, l.objsubid) = (%s, %s, 2)
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_COPYING = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a statement may wait for a lock, and run. 0 is for ever."""

    lock_timeout_s: float
    statement_timeout_s: float


class Session:
    """Statements on a connection whose settings nobody's file can change for the next one."""

    def __init__(self, connection: Connection[Any], limits: Limits) -> None:
        self.connection = connection
        self.who = operator()
        self.yoyo = Backend(connection, self.who)
        self._limits = limits
        connection.prepare_threshold = None  # `settle` forgets prepared statements

    def settle(self, *, patient: bool = False) -> None:
        """Back to the settings of a new connection, and ours; `patient` waits for locks.

        Also before the marks are written: a file may have ended with another role or an empty
        search_path (each pg_dump begins with one).
        """
        lock_s = 0.0 if patient else self._limits.lock_timeout_s
        name = f"stockctl db ({self.who})".encode()[:_NAME_LIMIT].decode(errors="ignore")
        settings = sql.SQL(_SETTINGS).format(
            application=sql.Literal(name),
            lock=sql.Literal(f"{round(lock_s * 1000)}ms"),
            run=sql.Literal(f"{round(self._limits.statement_timeout_s * 1000)}ms"),
            check=sql.Literal(CLIENT_CHECK),
        )
        self.connection.execute(sql.SQL(_FORGET) + settings)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block or nothing. On an interrupt the session closes, which is nothing."""
        self.connection.execute("BEGIN")
        try:
            yield
        except Exception:
            self.abort()
            raise
        self.connection.execute("COMMIT")

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Nothing of the block stays."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.abort()

    def abort(self) -> None:
        """ROLLBACK; without a connection the server has done it already."""
        with suppress(psycopg.Error):
            self.connection.execute("ROLLBACK")

    def run(self, identity: str, file: str, text: str) -> None:
        """The file as one simple query. Raises MigrationFailed with the place in the file.

        The number of results tells which statement failed; a cursor keeps that to itself.
        """
        pgconn = self.connection.pgconn
        try:
            pgconn.send_query(text.encode())
            results = self.connection.wait(generators.execute(pgconn))
        except psycopg.Error as error:  # the connection is gone
            raise failed(identity, file, text, error, None) from error
        last = results[-1]
        if last.status == ExecStatus.FATAL_ERROR:
            cause: psycopg.Error = psycopg.errors.error_from_result(last)
            raise failed(identity, file, text, cause, len(results) - 1) from cause
        if last.status in _COPYING:
            cause = psycopg.ProgrammingError("COPY from or to the client has no client here")
            raise failed(identity, file, text, cause, len(results) - 1) from cause

    def hold_lock(self, clock: Clock, wait_s: float) -> None:
        """The lock, until the connection closes. Raises Locked.

        Polls: a session that waits inside pg_advisory_lock holds a snapshot, for which somebody's
        CREATE INDEX CONCURRENTLY waits, and the two wait for each other.
        """
        deadline = clock.monotonic() + wait_s
        while not self._try_lock():
            if clock.monotonic() >= deadline:
                raise self._locked()
            clock.sleep(min(_POLL_S, wait_s))

    def _try_lock(self) -> bool:
        got = self.connection.execute("SELECT pg_try_advisory_lock(%s::int, %s::int)", LOCK_KEY)
        return got.fetchone() == (True,)

    def _locked(self) -> Locked:
        holder = self.connection.execute(_HOLDER, LOCK_KEY).fetchone()
        if holder is None:
            return Locked("another migration held the lock until now", retry_after_s=0)
        pid, application, client, since = holder
        return Locked(
            f"{application or 'another session'} is migrating this database"
            f" (PostgreSQL process {pid}, from {client}, since {since:%Y-%m-%d %H:%M:%S %Z})",
            hint="Wait until it is done and run the command again.",
            retry_after_s=_RETRY_S,
        )


@contextmanager
def open_session(
    database: Database, limits: Limits, clock: Clock, lock_wait_s: float
) -> Iterator[Session]:
    """A session that holds the lock and has its tables.

    However the block ends, the connection is closed, and with it go what was not committed and
    the lock; an interrupt in the middle of a statement ends that statement first.
    """
    with errors(f"change {database.dsn}"):
        connection = database.connect()
        try:
            require_session(database.dsn, connection, "change the schema")
            session = Session(connection, limits)
            session.settle()
            session.hold_lock(clock, lock_wait_s)
            session.yoyo.create_tables()
            create_table(connection)
            yield session
        except BaseException:
            _cancel(connection)
            raise
        finally:
            connection.close()


def _cancel(connection: Connection[Any]) -> None:
    if connection.info.transaction_status is TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=5)
