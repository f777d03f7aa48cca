"""One scratch database at work: scripts run as `db migrate` runs them, and what they leave."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection, sql

from stockctl.core.errors import MigrationFailed, Refused
from stockctl.db.catalog.nouns import Catalog
from stockctl.db.catalog.read import read_catalog
from stockctl.db.failure import failed
from stockctl.db.proof.nouns import TableLock
from stockctl.db.session import Limits, Session
from stockctl.system.postgres import Database

# From the weakest to the strongest (https://www.postgresql.org/docs/current/explicit-locking.html).
MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
_TABLES = """
SELECT c.oid::bigint, c.oid::regclass::text, c.relfilenode::bigint FROM pg_class AS c
 WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND c.oid >= 16384
"""
_LOCKS = """
SELECT l.relation::bigint, l.mode, c.relfilenode::bigint, l.database = 0
  FROM pg_locks AS l LEFT JOIN pg_class AS c ON c.oid = l.relation AND l.database <> 0
 WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND (l.relation >= 16384 AND l.database
       = (SELECT oid FROM pg_database WHERE datname = current_database())
       OR l.database = 0 AND l.mode = 'RowExclusiveLock' AND l.relation = ANY(%s))
"""
# Catalogs that all databases of a server share and whose locks last until the transaction ends:
# roles, memberships, databases, tablespaces, settings, comments, subscriptions, parameter grants.
_SHARED = [1260, 1261, 1262, 1213, 2964, 2396, 6100, 6243]
# With any other lock alone rows stay as they are: of an index that is built, say, or a trigger
# (https://www.postgresql.org/docs/current/explicit-locking.html).
_WRITING = ("RowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
_ROLES = 20  # that one script may name
_MISSING_ROLE = re.compile(r'role "(.+)" does not exist')


@dataclass(frozen=True, slots=True)
class Script:
    """A script of a migration, as it is to be run."""

    id: str
    file: str
    text: str
    transactional: bool


@dataclass(frozen=True, slots=True)
class Run:
    """What a script did. `touched` are the oids of the tables it held a lock on, `written` of those
    whose rows it may have changed; None: any."""

    duration_s: float
    locks: tuple[TableLock, ...] | None
    touched: frozenset[int] | None
    written: frozenset[int] | None


class Trial:
    """A session for scripts and a second one for the catalog, whose statements stay prepared.

    `shared`: other databases are on this server, and a script that reaches out of its own is
    stopped before its COMMIT.
    """

    def __init__(self, database: Database, limits: Limits, *, shared: bool) -> None:
        self.database = database
        self._limits, self._shared = limits, shared
        self.open()

    def open(self) -> None:
        """Both connections."""
        self._reader: Connection[Any] = self.database.connect()
        self.connection: Connection[Any] = self.database.connect()
        self._session = Session(self.connection, self._limits)

    def close(self) -> None:
        """Also so that the database can be copied, or dropped."""
        self._reader.close()
        self.connection.close()

    def catalog(self) -> Catalog:
        """The schema, as it is committed."""
        return read_catalog(self._reader)

    def run(self, script: Script) -> Run:
        """Raises MigrationFailed; Refused for one that reaches out of its database.

        On a server of our own a role that a script names is made when it is missing: elsewhere
        somebody made it before.
        """
        for _role in range(_ROLES):
            try:
                return self._run(script)
            except MigrationFailed as error:
                role = _missing_role(error)
                if self._shared or role is None:
                    raise
                self.connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        return self._run(script)

    def _run(self, script: Script) -> Run:
        self._session.settle(patient=True)
        if not script.transactional:
            started = time.monotonic()
            self._session.run(script.id, script.file, script.text)
            return Run(time.monotonic() - started, None, None, None)
        with self._transaction(script):
            before = {oid: each for oid, *each in self.connection.execute(_TABLES).fetchall()}
            started = time.monotonic()
            self._session.run(script.id, script.file, script.text)
            self._session.settle(patient=True)
            duration_s = time.monotonic() - started
            held = self._held(script, before)
        return Run(duration_s, *held)

    @contextmanager
    def _transaction(self, script: Script) -> Iterator[None]:
        """What only fails at COMMIT (a deferred constraint) is the script's doing all the same."""
        try:
            with self._session.all_or_nothing():  # without the migration lock: nobody else is here
                self.connection.execute("BEGIN")
                yield
                self.connection.execute("COMMIT")
        except psycopg.Error as error:
            raise failed(script.id, script.file, script.text, error, None) from error

    def tries(self, script: Script, before: Any) -> MigrationFailed | None:
        """Why it would fail after `before(connection)` has run; nothing of either stays."""
        self._session.settle(patient=True)
        with self._session.rehearsal():
            before(self.connection)
            try:
                self._session.run(script.id, script.file, script.text)
            except MigrationFailed as error:
                return error
        return None

    def _held(
        self, script: Script, before: dict[int, list[Any]]
    ) -> tuple[tuple[TableLock, ...], frozenset[int], frozenset[int]]:
        """Locks, and the tables that were touched and written."""
        strongest: dict[int, tuple[int, int | None]] = {}
        written: set[int] = set()
        for oid, mode, file, outside in self.connection.execute(_LOCKS, (_SHARED,)).fetchall():
            if outside and self._shared:
                raise _reaches_out(script)
            rank = MODES.index(mode)
            if mode in _WRITING:
                written.add(oid)
            if oid in before and rank >= strongest.get(oid, (-1, None))[0]:
                strongest[oid] = rank, file
        locks = [
            TableLock(before[oid][0], MODES[rank], file is not None and file != before[oid][1])
            for oid, (rank, file) in strongest.items()
        ]
        locks.sort(key=lambda lock: (-MODES.index(lock.mode), lock.table))
        return tuple(locks), frozenset(strongest), frozenset(written)


def _missing_role(error: MigrationFailed) -> str | None:
    if not isinstance(error.__cause__, psycopg.errors.UndefinedObject):
        return None
    found = _MISSING_ROLE.fullmatch(error.__cause__.diag.message_primary or "")
    return found and found[1]


def _reaches_out(script: Script) -> Refused:
    return Refused(
        f"{script.file} changes what all databases of the server share (roles, databases, their"
        " settings or comments), so a trial on this server would do that for real",
        hint="Prove it on a server of stockctl's own: stockctl db prove ENV --embedded",
    )
