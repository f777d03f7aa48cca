"""What a rollback would drop, and how many rows it holds: read from the scripts, before anything
is locked. What is decided is decided by the rehearsal, which also sees what a script does by
CASCADE or in a function.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from stockctl.db.lint.acts import acts
from stockctl.db.loss import Loss, Target, losses, refuse
from stockctl.db.plan import Reversal, RollbackPlan
from stockctl.db.statements import split
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

# Read only, and behind nobody: a table that somebody has locked is told as not counted.
_BEGIN = "BEGIN READ ONLY; SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '10s'"
_FIND = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p')
   AND (n.nspname || '.' || c.relname = %(name)s
        OR c.relname = %(name)s AND pg_table_is_visible(c.oid))
   AND (%(column)s::text IS NULL OR EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = %(column)s))
"""


@dataclass(frozen=True, slots=True)
class Drop:
    """A table or a column that a down script drops. `rows` that hold something, at most one more
    than are counted; None: not counted."""

    migration: str
    target: Target
    rows: int | None
    said: str

    def __str__(self) -> str:
        return self.said


def forecast(database: Database, plan: RollbackPlan) -> tuple[Drop, ...]:
    """In the order of the plan. Raises DatabaseUnreachable and DatabaseFailed."""
    with database.connect() as connection, errors(f"look into {database.dsn}"):
        return tuple(drop for each in plan.reversals for drop in _drops(connection, each))


def refuse_foreseen(drops: tuple[Drop, ...]) -> None:
    """At once, rather than after a backup that may take an hour. Raises Refused."""
    refuse(tuple(Loss(drop.target, drop.rows) for drop in drops if drop.rows))


def _drops(connection: Connection[Any], reversal: Reversal) -> Iterator[Drop]:
    for act in acts(reversal.down, split(reversal.down)):
        if act.verb in ("DROP TABLE", "DROP COLUMN"):
            column = act.name if act.verb == "DROP COLUMN" else None
            named = {"name": act.table, "column": column}
            for schema, table in connection.execute(_FIND, named).fetchall():
                yield _counted(connection, reversal.id, Target(schema, table, column))


def _counted(connection: Connection[Any], identity: str, target: Target) -> Drop:
    kind = "column" if target.column else "table"
    try:
        connection.execute(_BEGIN)
        found = losses(connection, (target,))
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
        return Drop(identity, target, None, f"{kind} {target}: not counted, it is in use")
    except psycopg.errors.InsufficientPrivilege:
        return Drop(identity, target, None, f"{kind} {target}: not counted, no leave to read it")
    finally:
        connection.execute("ROLLBACK")
    if not found:
        return Drop(identity, target, 0, f"{kind} {target}: empty")
    return Drop(identity, target, found[0].rows, str(found[0]))
