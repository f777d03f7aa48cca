"""yoyo's tables, written as yoyo writes them, so that its own commands agree with ours.

Not from yoyo come: the connection, the lock (an advisory one, which dies with its session,
instead of a row that does not), and running a file (one simple query in one transaction with the
marks, instead of a savepoint for each statement and the marks on another connection). yoyo itself
is only asked to bring tables of an older yoyo up to date; importing it takes longer than a
hundred migrations. A test holds these texts against what yoyo makes and writes.
"""

from __future__ import annotations

import uuid
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from stockctl.db.record import YOYO_TABLE
from stockctl.db.wire import literal

if TYPE_CHECKING:
    from psycopg import Connection

VERSION = 2  # yoyo.internalmigrations.schema_versions
_TABLES = (YOYO_TABLE, "_yoyo_log", "_yoyo_version", "yoyo_lock")

_FOUND = """
SELECT relname FROM pg_class
 WHERE relkind = 'r' AND pg_table_is_visible(oid) AND relname = ANY (%s)
"""
# yoyo.internalmigrations.v2, DatabaseBackend.create_lock_table_sql
_CREATE = f"""
BEGIN;
CREATE TABLE {YOYO_TABLE} (
    migration_hash VARCHAR(64), migration_id VARCHAR(255), applied_at_utc TIMESTAMP,
    PRIMARY KEY (migration_hash));
CREATE TABLE _yoyo_log (
    id VARCHAR(36), migration_hash VARCHAR(64), migration_id VARCHAR(255), operation VARCHAR(10),
    username VARCHAR(255), hostname VARCHAR(255), comment VARCHAR(255), created_at_utc TIMESTAMP,
    PRIMARY KEY (id));
CREATE TABLE _yoyo_version (version INT NOT NULL PRIMARY KEY, installed_at_utc TIMESTAMP);
INSERT INTO _yoyo_version VALUES ({VERSION}, clock_timestamp() AT TIME ZONE 'UTC');
CREATE TABLE IF NOT EXISTS yoyo_lock (
    locked INT DEFAULT 1, ctime TIMESTAMP, pid INT NOT NULL, PRIMARY KEY (locked));
COMMIT;
"""
# the server's clock: the order of application is kept even when operators' clocks differ
_NOW = b"clock_timestamp() AT TIME ZONE 'UTC'"
# what yoyo's columns hold (a user's name may be longer)
_LIMIT = 255


def create_tables(connection: Connection[Any]) -> None:
    """What yoyo needs, also the row lock that its own commands take."""
    found = {row[0] for row in connection.execute(_FOUND, (list(_TABLES),)).fetchall()}
    if not found & set(_TABLES[:3]):
        connection.execute(_CREATE)
        return
    if "_yoyo_version" in found and found == set(_TABLES):
        newest = connection.execute("SELECT max(version) FROM _yoyo_version").fetchone()
        if newest == (VERSION,):
            return
    _let_yoyo(connection)


def _let_yoyo(connection: Connection[Any]) -> None:
    """The tables of an older yoyo, or some of them: its own code brings them up to date."""
    from stockctl.db.yoyo_upgrade import upgrade

    upgrade(connection)


def marked(connection: Connection[Any], identity: str, who: str, record: bytes) -> bytes:
    """SQL: it is applied. `record` is the INSERT or UPDATE that says so in our table: one statement
    for all three tables costs the server half of what three cost."""
    name, hashed = literal(connection, identity), _hash(identity)
    return b"""WITH logged AS (%b), marked AS (
        INSERT INTO %b (migration_hash, migration_id, applied_at_utc) VALUES (%b, %b, %b)
    ) %b""" % (
        _logged(connection, identity, who, "apply"),
        YOYO_TABLE.encode(),
        hashed,
        name,
        _NOW,
        record,
    )


def unmarked(connection: Connection[Any], identity: str, who: str) -> bytes:
    """SQL: it is not applied any more."""
    gone = b"DELETE FROM %b WHERE migration_hash = %b;" % (YOYO_TABLE.encode(), _hash(identity))
    return _logged(connection, identity, who, "rollback") + b";" + gone


def _logged(
    connection: Connection[Any], identity: str, who: str, operation: Literal["apply", "rollback"]
) -> bytes:
    """yoyo's own asks the DNS for its name, and fails for a user id without one."""
    user, _, host = who.partition("@")
    name, by, at = (literal(connection, text) for text in (identity, user[:_LIMIT], host[:_LIMIT]))
    return (
        b"INSERT INTO _yoyo_log (id, migration_hash, migration_id, operation, username, hostname,"
        b" created_at_utc) VALUES ('%b', %b, %b, '%b', %b, %b, %b)"
        % (str(uuid.uuid4()).encode(), _hash(identity), name, operation.encode(), by, at, _NOW)
    )


def _hash(identity: str) -> bytes:
    """yoyo.migrations.get_migration_hash, in quotes."""
    return b"'%b'" % sha256(identity.encode()).hexdigest().encode()
