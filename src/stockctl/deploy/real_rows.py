"""A backup's rows in a scratch database, for a proof of migrations. `db` and `backup` are blind to
one another, so the two are put together here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stockctl.backup import preflight
from stockctl.backup.create import locked
from stockctl.backup.fill import fill
from stockctl.backup.key import require_key
from stockctl.backup.restore import source_of
from stockctl.backup.restorer import choose_restorer, hand_over
from stockctl.backup.room import copy_share, require_room
from stockctl.backup.swap import maintenance
from stockctl.backup.way import choose_way
from stockctl.core.errors import DatabaseFailed
from stockctl.system.clients_here import client_host

if TYPE_CHECKING:
    from psycopg import Connection

    from stockctl.backup.manifest import Backup
    from stockctl.backup.restorer import Restorer
    from stockctl.backup.stores.base import Store
    from stockctl.core.progress import Progress
    from stockctl.env.model import Environment
    from stockctl.system.journal_file import Journal
    from stockctl.system.postgres import Database


def restore_rows(
    environment: Environment,
    backup: Backup,
    store: Store,
    live: Database,
    empty: Database,
    journal: Journal,
    progress: Progress,
) -> None:
    """Fills `empty`, a scratch database beside the live one, as no superuser; afterwards all in it
    belongs to the role of `database.url`. Raises BackupInvalid, Refused, ToolFailed, Locked."""
    host, directory = client_host(journal.host, live), environment.host.directory
    identities = require_key(backup, environment.backup.identity_file)
    holder = journal.holder("db prove --with-data")
    name = empty.dsn.database
    with locked(store, environment.name, host, directory, holder), maintenance(live) as connection:
        preflight.require_server(connection, backup)
        server = preflight.with_tools(connection, live, host)
        copy = copy_share(connection, backup, server, host)
        require_room((copy,))
        way = choose_way(backup, server, host, directory, copy)
        with source_of(backup, store, identities, way, server, host, progress) as source:
            owner = _ourselves(connection)
            worker = choose_restorer(connection, server, owner, trusted=False)
            try:
                if worker.own:
                    preflight.require_no_superuser(source.contents)
                    _give(connection, name, worker)
                fill(server.to(name), worker, source, host=host, progress=progress)
            finally:
                hand_over(connection, server, name, worker, owner)


def _ourselves(connection: Connection[object]) -> str:
    row = connection.execute("SELECT current_user").fetchone()
    if not isinstance(row, tuple):
        raise DatabaseFailed("the server does not say who we are")
    return str(row[0])


def _give(connection: Connection[object], name: str, worker: Restorer) -> None:
    from psycopg import sql

    statement = sql.SQL("ALTER DATABASE {} OWNER TO {}")
    connection.execute(statement.format(sql.Identifier(name), sql.Identifier(worker.name)))
