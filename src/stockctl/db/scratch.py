"""Databases for a trial: made beside the live one, marked as ours, dropped however it ends.

`kill -9` leaves one behind. The next run knows it by its name and the mark in its comment, and that
nobody is at work on it by an advisory lock, which goes with the session of whoever made it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stockctl.core.errors import DatabaseFailed, DatabaseUnreachable, Refused
from stockctl.core.progress import Progress
from stockctl.system.journal_file import operator
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection, sql

PREFIX = "stockctl_scratch_"
MARK = "scratch"
_DROP_TRIES = 3
_LOCK_CLASS = 0x73637261  # "scra"; the other half of the key is a hash of the name
_DATABASES = """
SELECT d.datname, shobj_description(d.oid, 'pg_database'),
       EXISTS (SELECT FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.objsubid = 2
                  AND l.classid::bigint = %s
                  AND l.objid::bigint = hashtext(d.datname)::bigint & x'ffffffff'::bigint)
    OR EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datid = d.oid)
  FROM pg_database AS d WHERE d.datname LIKE %s ORDER BY 1
"""
_LIKE = """
SELECT to_jsonb(d), pg_encoding_to_char(d.encoding),
       (SELECT substr(setting, 13) FROM pg_db_role_setting AS s, unnest(s.setconfig) AS setting
         WHERE s.setdatabase = d.oid AND setting LIKE 'search_path=%%'
           AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
         ORDER BY s.setrole DESC LIMIT 1),
       (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user)
  FROM pg_database AS d WHERE d.datname = %s
"""
_PROVIDERS = {"i": "icu", "b": "builtin"}


@dataclass
class Scratch:
    """Makes them for one command, and drops what it made."""

    server: Database
    purpose: str
    _connection: Connection[Any]
    _made: list[str] = field(default_factory=list)

    @property
    def server_version(self) -> int:
        """Like 180004."""
        return self._connection.info.server_version

    def create(self, template: str | None = None) -> Database:
        """An empty one like the live one, or a copy of another scratch database, in which nobody
        may be connected. Raises DatabaseFailed."""
        name = f"{PREFIX}{secrets.token_hex(6)}"
        with errors("create a scratch database"):
            properties, path = self._like(template)
            self._connection.execute(
                "SELECT pg_advisory_lock(%s::int, hashtext(%s))", (_LOCK_CLASS, name)
            )
            self._made.append(name)
            self._connection.execute(_sql("CREATE DATABASE {} ", name) + properties)
            self._open(name, path)
        return self.server.to(name)

    def _open(self, name: str, path: str | None) -> None:
        """Marked and closed to others before anybody can enter: it may hold real rows."""
        from psycopg import sql

        mark = json.dumps({"stockctl": MARK, "for": self.purpose, "by": operator()})
        connection = self._connection
        with connection.transaction():
            comment = _sql("COMMENT ON DATABASE {} IS ", name) + sql.Literal(mark)
            connection.execute(comment)
            connection.execute(_sql("REVOKE ALL ON DATABASE {} FROM PUBLIC", name))
            if path is not None:
                connection.execute("SELECT set_config('search_path', %s, true)", (path,))
                connection.execute(_sql("ALTER DATABASE {} SET search_path FROM CURRENT", name))
            # what a crash takes of it nobody misses
            connection.execute(_sql("ALTER DATABASE {} SET synchronous_commit = off", name))
            connection.execute(_sql("ALTER DATABASE {} ALLOW_CONNECTIONS true", name))

    def _like(self, template: str | None) -> tuple[sql.Composable, str | None]:
        """How to create it, and the search_path that its sessions begin with."""
        found = self._connection.execute(_LIKE, (template or self.server.dsn.database,)).fetchone()
        if found is None:
            raise DatabaseFailed(f"there is no database {self.server.dsn.database} on this server")
        catalog, encoding, path, may = found
        if not may:
            raise Refused(
                "this takes a scratch database on the same server, and the role of database.url"
                " may not create one",
                hint="ALTER ROLE … CREATEDB, or use a server of stockctl's own: --embedded",
            )
        return _create(template or "template0", catalog, encoding), path

    def drop(self, database: Database) -> None:
        """Gone before the end: one that is not needed any more."""
        self._drop(self._connection, database.dsn.database)

    def _drop(self, connection: Connection[Any], name: str) -> None:
        from psycopg.errors import ObjectInUse

        for tries_left in reversed(range(_DROP_TRIES)):
            try:
                connection.execute(_sql("DROP DATABASE IF EXISTS {} WITH (FORCE)", name))
                break
            except ObjectInUse:  # a session that is just ending; PostgreSQL itself waits 5 s for it
                if not tries_left:
                    raise
        self._made.remove(name)
        connection.execute("SELECT pg_advisory_unlock(%s::int, hashtext(%s))", (_LOCK_CLASS, name))

    def drop_all(self) -> None:
        """Raises DatabaseFailed, DatabaseUnreachable; what stays then, the next run sweeps."""
        if not self._made:
            return
        if not self._connection.broken:
            with suppress(Exception):
                self._connection.execute("ROLLBACK")
        with errors("drop the scratch databases"):
            if not self._connection.broken:
                for name in tuple(self._made):
                    self._drop(self._connection, name)
                return
            with maintenance(self.server) as connection:
                for name in tuple(self._made):
                    self._drop(connection, name)


@contextmanager
def scratch(server: Database, purpose: str, progress: Progress) -> Iterator[Scratch]:
    """Sweeps what killed runs left, and drops what the block made, also on Ctrl-C and SIGTERM."""
    with maintenance(server) as connection:
        sweep(connection, progress)
        made = Scratch(server, purpose, connection)
        try:
            yield made
        except BaseException as cause:
            try:
                made.drop_all()
            except (DatabaseFailed, DatabaseUnreachable) as error:
                cause.add_note(f"the next run drops the scratch databases: {error}")
            raise
        made.drop_all()


@contextmanager
def maintenance(server: Database) -> Iterator[Connection[Any]]:
    """A connection beside the live database."""
    try:
        connection = server.to("postgres").connect()
    except DatabaseUnreachable as first:
        try:
            connection = server.to("template1").connect()
        except DatabaseUnreachable:
            raise first from None
    with connection:
        yield connection


def sweep(connection: Connection[Any], progress: Progress) -> None:
    """Drops scratch databases that nobody is at work on. What bears no mark of ours stays."""
    import psycopg

    with errors("look for scratch databases of earlier runs"):
        found = connection.execute(_DATABASES, (_LOCK_CLASS, f"{PREFIX}%")).fetchall()
    for name, comment, used in found:
        if used or not _marked(comment):
            continue
        try:
            connection.execute(_sql("DROP DATABASE IF EXISTS {}", name))
        except (psycopg.errors.ObjectInUse, psycopg.errors.InsufficientPrivilege) as error:
            progress.warn(f"{name}, left by a run that was killed, stays: {error}".strip())
        else:
            progress.say(f"dropped {name}, left by a run that was killed")


def _marked(comment: str | None) -> bool:
    try:
        mark = json.loads(comment or "")
    except ValueError:
        return False
    return isinstance(mark, dict) and mark.get("stockctl") == MARK


def _create(template: str, catalog: dict[str, Any], encoding: str) -> sql.Composable:
    """The columns of pg_database differ by version: `datlocale` was `daticulocale` before 17
    (https://www.postgresql.org/docs/current/catalog-pg-database.html)."""
    from psycopg import sql

    options: dict[str, sql.Composable] = {
        "TEMPLATE": sql.Identifier(template),
        "ALLOW_CONNECTIONS": sql.SQL("false"),
    }
    if template == "template0":
        options |= {
            "ENCODING": sql.Literal(encoding),
            "LC_COLLATE": sql.Literal(catalog["datcollate"]),
            "LC_CTYPE": sql.Literal(catalog["datctype"]),
        }
        provider = _PROVIDERS.get(catalog["datlocprovider"])
        locale = catalog.get("datlocale") or catalog.get("daticulocale")
        if provider and locale:
            options["LOCALE_PROVIDER"] = sql.SQL(provider)
            options[f"{provider.upper()}_LOCALE"] = sql.Literal(locale)
        if catalog.get("daticurules"):
            options["ICU_RULES"] = sql.Literal(catalog["daticurules"])
    pairs = [sql.SQL(f"{name} ") + value for name, value in options.items()]
    return sql.SQL(" ").join(pairs)


def _sql(template: str, *names: str) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(template).format(*map(sql.Identifier, names))
