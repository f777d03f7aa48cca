"""What a manifest says of a database besides its dump, read under the dump's snapshot.

It is the server that counts, so it counts beside the dump and not before it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from stockctl.backup.extensions import read_extensions
from stockctl.backup.fingerprint import Fingerprint, content, fingerprint
from stockctl.backup.globals import Globals, read_roles
from stockctl.backup.properties import describe
from stockctl.core.errors import StockctlError

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Description:
    """Fields of a Backup."""

    fingerprint: Fingerprint
    content: tuple[tuple[str, str], ...]
    extensions: tuple[tuple[str, str, str], ...]
    globals: Globals

    @property
    def rows(self) -> int:
        return sum(rows for _table, rows in self.fingerprint)


def described(connection: Connection[Any], database: str, *, hash_content: bool) -> Description:
    """All that is read in the connection's transaction. Raises DatabaseFailed."""
    roles = read_roles(connection)
    return Description(
        fingerprint=fingerprint(connection),
        content=content(connection) if hash_content else (),
        extensions=read_extensions(connection),
        globals=Globals(describe(connection, database), roles),
    )


@contextmanager
def beside(connection: Connection[Any], work: Callable[[], T]) -> Iterator[Future[T]]:
    """Runs `work`, which has the connection to itself, in a thread while the block runs.

    A block that fails takes the connection away from it, whether the server answers or not, and
    closes it. Where both fail, the block's failure may follow from that of `work`, which is raised.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    thread = Thread(target=run, daemon=True)
    try:
        thread.start()
        yield future
    except BaseException as error:
        cause = future.exception() if future.done() else None
        _hang_up(connection)
        if thread.ident is not None:
            thread.join()
        connection.close()
        if cause is not None and isinstance(error, StockctlError):
            raise cause from error
        raise
    thread.join()


def _hang_up(connection: Connection[Any]) -> None:
    """Whoever waits for an answer on it hears the end at once. The server looks for that, too:
    `client_connection_check_interval`."""
    with suppress(Exception), closing(socket.socket(fileno=os.dup(connection.fileno()))) as line:
        line.shutdown(socket.SHUT_RDWR)
