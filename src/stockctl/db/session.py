"""One connection that holds the migration lock and runs files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from stockctl.core.clock import Clock
from stockctl.core.errors import Locked
from stockctl.db.blockers import Watch
from stockctl.db.failure import Source, failed
from stockctl.db.lock import FENCE, hold, locked
from stockctl.db.record import create_table
from stockctl.db.wire import ask, failure, readable
from stockctl.db.yoyo_ledger import create_tables
from stockctl.system.journal_file import operator
from stockctl.system.pooler import require_session
from stockctl.system.postgres import CLIENT_CHECK, Database, errors

_NAME_LIMIT = 63  # bytes, NAMEDATALEN - 1

# DISCARD ALL without its pg_advisory_unlock_all, and allowed inside a transaction
# (https://www.postgresql.org/docs/current/sql-discard.html)
_FORGET = """
CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; DEALLOCATE ALL; UNLISTEN *;
DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES;
"""
_SETTINGS = """
SET application_name = {application}; SET lock_timeout = {lock}; SET statement_timeout = {run};
SET idle_in_transaction_session_timeout = 0; SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
"""
_CHECKED = f"SET client_connection_check_interval = '{CLIENT_CHECK}';"
_CHECKED_SINCE = 140000  # the version of PostgreSQL that has it
_BEGIN = f"BEGIN; {FENCE}"
_BEGIN_RESULTS = 2
# What was put off to the end of the transaction is due before our own statements, under the
# settings of the file.
_DUE = b"SET CONSTRAINTS ALL IMMEDIATE;"
_SOON_S = 0.5  # a statement that takes longer may be waiting for somebody


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a statement may wait for a lock, and run. 0 is for ever.

    `lock_retry_s`: how long a transaction that could not have a lock is begun again.
    """

    lock_timeout_s: float
    statement_timeout_s: float
    lock_retry_s: float = 0.0


class Session:
    """Statements on a connection whose settings nobody's file can change for the next one."""

    def __init__(
        self, connection: Connection[Any], limits: Limits, watch: Watch | None = None
    ) -> None:
        self.connection = connection
        self.who = operator()
        self.limits = limits
        self.watch = watch
        connection.prepare_threshold = None  # `settle` forgets prepared statements
        self._settled = {patient: self._settling(patient) for patient in (False, True)}

    def _settling(self, patient: bool) -> bytes:
        lock_s = 0.0 if patient else self.limits.lock_timeout_s
        name = f"stockctl db ({self.who})".encode()[:_NAME_LIMIT].decode(errors="ignore")
        settings = sql.SQL(_SETTINGS).format(
            application=sql.Literal(name),
            lock=sql.Literal(f"{round(lock_s * 1000)}ms"),
            run=sql.Literal(f"{round(self.limits.statement_timeout_s * 1000)}ms"),
        )
        checked = self.connection.info.server_version >= _CHECKED_SINCE
        ours = sql.SQL(_FORGET) + settings + sql.SQL(_CHECKED if checked else "")
        return ours.as_bytes(self.connection)

    def settle(self, *, patient: bool = False) -> None:
        """Back to the settings of a new connection, and ours; `patient` waits for locks.

        Also before the marks are written: a file may have ended with another role or an empty
        search_path (each pg_dump begins with one).
        """
        self._say(self._settled[patient])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block or nothing. On an interrupt the session closes, which is nothing."""
        with self.all_or_nothing():
            self._begin()
            yield
            self._say(b"COMMIT")

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Takes back what the block has begun, when it fails."""
        try:
            yield
        except Exception:
            self.abort()
            raise

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
        """A script as one simple query. Raises MigrationFailed with the place in it."""
        results = self._ask(Source(identity, file, text), text.encode())
        if error := failure(results):
            raise failed(identity, file, text, error, len(results) - 1) from error

    def apply(self, script: Source, statements: int, marks: bytes) -> None:
        """The script, the marks and COMMIT in one text, in a transaction of its own.

        `statements`: how many the script has; nothing in it may go on past its end. The server
        reads all of the text before it runs any of it, so what the script sets changes no marks.
        """
        after = b"\n;" + _DUE + self._settled[False] + marks + b"COMMIT"
        results = self._ask(script, f"{_BEGIN}{script.text}".encode() + after)
        if error := failure(results):
            done = len(results) - 1 - _BEGIN_RESULTS
            if done == -1:
                raise self._fenced_off() from error
            # fewer: the server could not read it; more: what was put off to the end
            place = max(done, 0) if done < statements else None
            where = (script.id, script.file, script.text)
            raise failed(*where, error, place, before=len(_BEGIN)) from error

    def finish(self, marks: bytes) -> None:
        """What the file put off, then the marks. Raises psycopg.Error, the file's doing."""
        if not readable(self.connection):
            self._say(_DUE)
            self.settle()
        self._say(_DUE + self._settled[False] + marks)

    def record(self, marks: bytes) -> None:
        """The marks by themselves, in a transaction. Raises psycopg.Error and Locked."""
        self.settle()
        with self.transaction():
            self._say(marks)

    def _begin(self) -> None:
        try:
            self._say(_BEGIN.encode())
        except psycopg.errors.DivisionByZero as error:
            raise self._fenced_off() from error

    def _fenced_off(self) -> Locked:
        self.abort()
        return locked(self.connection)

    def _say(self, text: bytes) -> None:
        """Statements of ours, of which none may fail. Raises psycopg.Error."""
        if error := failure(ask(self.connection, text)):
            raise error

    def _ask(self, script: Source, text: bytes) -> list[PGresult]:
        look = self.watch.look if self.watch else None
        silence_s = min(_SOON_S, self.limits.lock_timeout_s / 2 or _SOON_S)
        if self.watch:
            self.watch.begin()
        try:
            return ask(self.connection, text, silence_s=silence_s, on_silence=look)
        except psycopg.Error as error:  # the connection is gone
            raise failed(script.id, script.file, script.text, error, None) from error


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
            with Watch(database, connection) as watch:
                session = Session(connection, limits, watch)
                session.settle()
                hold(connection, clock, lock_wait_s)
                create_tables(connection)
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
