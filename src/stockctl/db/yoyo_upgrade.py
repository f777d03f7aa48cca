"""yoyo on a connection of ours, for the one thing that only it knows: its older tables."""

# mypy: disable-error-code="no-untyped-call"
# (yoyo has no annotations)

from __future__ import annotations

from typing import Any

from psycopg import Connection
from yoyo import internalmigrations
from yoyo.backends import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri

from stockctl.db.record import YOYO_TABLE


class _Backend(PostgresqlPsycopgBackend):
    def __init__(self, connection: Connection[Any]) -> None:
        self._ours = connection
        # no address, no password: yoyo opens nothing
        super().__init__(parse_uri("postgresql+psycopg:///"), YOYO_TABLE)

    def connect(self, dburi: Any) -> Connection[Any]:  # noqa: ARG002
        return self._ours

    def list_tables(self, **_kwargs: Any) -> list[str]:
        """Wherever search_path finds them, also after somebody made a schema of the user's name."""
        query = "SELECT relname FROM pg_class WHERE relkind = 'r' AND pg_table_is_visible(oid)"
        return [row[0] for row in self._ours.execute(query).fetchall()]


def upgrade(connection: Connection[Any]) -> None:
    """yoyo's tables as its present version has them."""
    backend = _Backend(connection)
    if backend.lock_table not in backend.list_tables():
        backend.create_lock_table()
    if internalmigrations.needs_upgrading(backend):
        internalmigrations.upgrade(backend)
