"""yoyo's tables, written as yoyo writes them, so that its own commands agree with ours.

Not from yoyo come: the connection (one, ours), the lock (an advisory one, which dies with its
session, instead of a row that does not), and running a file (one simple query in one transaction
with the marks, instead of a savepoint for each statement and the marks on another connection).
See `session`.
"""

# mypy: disable-error-code="no-untyped-call"
# (yoyo has no annotations)

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection
from yoyo import internalmigrations
from yoyo.backends import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import get_migration_hash

from stockctl.db.record import YOYO_TABLE


@dataclass(frozen=True, slots=True)
class Mark:
    """All that yoyo wants to know of a migration."""

    id: str

    @property
    def hash(self) -> str:
        return str(get_migration_hash(self.id))


class Backend(PostgresqlPsycopgBackend):
    """yoyo on a connection of ours. The caller holds the lock and owns the transaction."""

    # the server's clock: the order of application is kept even when operators' clocks differ
    mark_migration_sql = PostgresqlPsycopgBackend.mark_migration_sql.replace(
        ":when", "clock_timestamp() AT TIME ZONE 'UTC'"
    )

    def __init__(self, connection: Connection[Any], who: str) -> None:
        self._ours = connection
        self._who = who
        # no address, no password: yoyo opens nothing
        super().__init__(parse_uri("postgresql+psycopg:///"), YOYO_TABLE)

    def connect(self, dburi: Any) -> Connection[Any]:  # noqa: ARG002
        return self._ours

    def list_tables(self, **_kwargs: Any) -> list[str]:
        """Wherever search_path finds them, also after somebody made a schema of the user's name."""
        query = "SELECT relname FROM pg_class WHERE relkind = 'r' AND pg_table_is_visible(oid)"
        return [row[0] for row in self._ours.execute(query).fetchall()]

    def ensure_internal_schema_updated(self) -> None:
        """yoyo asks before each of its statements; `create_tables` has done it."""

    def get_log_data(self, migration: Any = None, operation: Any = "apply") -> dict[str, Any]:
        """yoyo's own asks the DNS, and fails for a user id without a name."""
        user, _, host = self._who.partition("@")
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration.id,
            "migration_hash": migration.hash,
            "username": user,
            "hostname": host,
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }

    def create_tables(self) -> None:
        """What yoyo needs, also the row lock that its own commands take."""
        if self.lock_table not in self.list_tables():
            self.create_lock_table()
        if internalmigrations.needs_upgrading(self):
            internalmigrations.upgrade(self)

    def mark(self, identity: str) -> None:
        """It is applied."""
        self.log_migration(Mark(identity), "apply")
        self.mark_one(Mark(identity), log=False)

    def unmark(self, identity: str) -> None:
        """It is not applied any more."""
        self.log_migration(Mark(identity), "rollback")
        self.unmark_one(Mark(identity), log=False)
