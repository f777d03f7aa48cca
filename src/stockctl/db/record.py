"""What a database remembers about a migration: yoyo's mark and a row of our own beside it.

yoyo remembers the name of a migration and nothing else. Our row holds the checksum and the
texts, so that an edited file is seen and an older checkout can still roll back. Both are written
in one transaction. Where the two disagree, yoyo's mark says what is applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from stockctl.db.migration import Migration
from stockctl.db.wire import literal

TABLE = "_stockctl_migrations"
YOYO_TABLE = "_yoyo_migration"  # yoyo.migrations.default_migration_table
OWN_TABLES = (TABLE, YOYO_TABLE, "_yoyo_log", "_yoyo_version", "yoyo_lock")

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    id            text PRIMARY KEY,
    checksum      text NOT NULL,
    phase         text NOT NULL,
    transactional boolean NOT NULL,
    irreversible  text,
    up            text NOT NULL,
    down          text,
    state         text NOT NULL CHECK (state IN ('applied', 'applying', 'reverting')),
    applied_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by    text NOT NULL,
    duration_s    double precision
)
"""


class Stage(StrEnum):
    """Where a migration is. The last two are on disk only while one runs without a transaction."""

    APPLIED = "applied"
    APPLYING = "applying"
    REVERTING = "reverting"


@dataclass(frozen=True, slots=True)
class Record:
    """One migration in the database. Without a `checksum` plain yoyo applied it.

    `running` is the text of the statement that was under way, for a stage that is not APPLIED.
    """

    id: str
    marked: bool
    stage: Stage
    checksum: str | None
    phase: str | None
    transactional: bool | None
    irreversible: str | None
    down: str | None
    running: str | None
    applied_at: datetime | None
    applied_by: str | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage", Stage(self.stage))


_MARKS = "SELECT migration_id AS id, applied_at_utc AT TIME ZONE 'UTC' AS applied_at FROM {}"
_NO_MARKS = "SELECT NULL::text AS id, NULL::timestamptz AS applied_at WHERE false"
_NO_ROWS = """
SELECT NULL AS id, NULL AS checksum, NULL AS phase, NULL::boolean AS transactional,
       NULL AS irreversible, NULL AS up, NULL AS down, NULL AS state, NULL AS applied_by
 WHERE false
"""
_READ = """
SELECT coalesce(mark.id, own.id) AS id, mark.id IS NOT NULL AS marked,
       coalesce(own.state, 'applied') AS stage, own.checksum, own.phase, own.transactional,
       own.irreversible, own.down, mark.applied_at, own.applied_by,
       CASE own.state WHEN 'applying' THEN own.up WHEN 'reverting' THEN own.down END AS running
  FROM ({marks}) AS mark FULL JOIN ({rows}) AS own ON own.id = mark.id
 WHERE mark.id IS NOT NULL OR own.state <> 'applied'
 ORDER BY mark.applied_at, 1
"""


def read_records(connection: Connection[Any]) -> tuple[Record, ...]:
    """In the order of application. Reads only; a database without the tables has none."""
    found = connection.execute(
        "SELECT to_regclass(%s)::text, to_regclass(%s)::text", (YOYO_TABLE, TABLE)
    ).fetchone()
    assert found is not None
    yoyo, own = found
    query = _READ.format(
        marks=_MARKS.format(yoyo) if yoyo else _NO_MARKS,
        rows=f"SELECT * FROM {own}" if own else _NO_ROWS,
    )
    with connection.cursor(row_factory=class_row(Record)) as cursor:
        return tuple(cursor.execute(query.encode()).fetchall())


def read_highest(connection: Connection[Any]) -> str | None:
    """The id with the highest number that is applied, if one is."""
    name = connection.execute("SELECT to_regclass(%s)::text", (YOYO_TABLE,)).fetchone()
    if name is None or name[0] is None:
        return None
    # by code points, as Python compares them
    query = f'SELECT max(migration_id COLLATE "C") FROM {name[0]}'
    found = connection.execute(query.encode()).fetchone()
    return found[0] if found else None


def create_table(connection: Connection[Any]) -> None:
    """Our table, unless it is there."""
    connection.execute(_CREATE)


_COLUMNS = (
    "id, checksum, phase, transactional, irreversible, up, down, state, applied_by, duration_s"
)
_OF_THE_FILE = "checksum, phase, transactional, irreversible, up, down"
_INSERT = f"INSERT INTO {TABLE} ({_COLUMNS}) VALUES (%b) ON CONFLICT (id) DO UPDATE SET"
_SINCE_BEGIN = b"extract(epoch FROM clock_timestamp() - now())"


def _excluded(columns: str) -> str:
    return "excluded." + columns.replace(", ", ", excluded.")


_RECORD = (
    f"{_INSERT} ({_COLUMNS}, applied_at) = ({_excluded(_COLUMNS)}, clock_timestamp());".encode()
)
_ACCEPT = f"{_INSERT} ({_OF_THE_FILE}) = ({_excluded(_OF_THE_FILE)});".encode()


def recorded(
    connection: Connection[Any],
    migration: Migration,
    stage: Stage,
    who: str,
    duration_s: float | None = None,
) -> bytes:
    """SQL: the row of a migration, as it now is. Without `duration_s` the transaction's own."""
    return _RECORD % _row(connection, migration, stage, who, duration_s)


def accepted(connection: Connection[Any], migration: Migration, who: str) -> bytes:
    """SQL: the file as it is now, for one that is applied; when and by whom stays."""
    return _ACCEPT % _row(connection, migration, Stage.APPLIED, who, 0.0)


def _row(
    connection: Connection[Any],
    migration: Migration,
    stage: Stage,
    who: str,
    duration_s: float | None,
) -> bytes:
    values: tuple[str | bool | float | None, ...] = (
        migration.id,
        migration.checksum,
        migration.phase,
        migration.transactional,
        migration.irreversible,
        migration.up,
        migration.down,
        stage,
        who,
    )
    literals = [literal(connection, value) for value in values]
    literals.append(_SINCE_BEGIN if duration_s is None else literal(connection, duration_s))
    return b", ".join(literals)


def staged(connection: Connection[Any], identity: str, stage: Stage) -> bytes:
    """SQL: where a migration is that has a row already."""
    return b"UPDATE %b SET state = %b WHERE id = %b;" % (
        TABLE.encode(),
        literal(connection, stage),
        literal(connection, identity),
    )


def forgotten(connection: Connection[Any], identity: str) -> bytes:
    """SQL: no row for a migration that is not applied any more."""
    return b"DELETE FROM %b WHERE id = %b;" % (TABLE.encode(), literal(connection, identity))
