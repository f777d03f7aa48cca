"""This machine's client tools with a database that another machine reaches: it comes to us through
the tunnel, so that what is run and read is here; whose turn it is, is said over there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stockctl.system.host import Holder, Host
from stockctl.system.local import LocalHost
from stockctl.system.postgres import Database


class ClientsHere(LocalHost):
    """This machine, but for locks and the engine."""

    def __init__(self, far: Host) -> None:
        self.far = far
        self.engine = far.engine

    @contextmanager
    def lock(self, path: Path, holder: Holder) -> Iterator[None]:
        with self.far.lock(path, holder):
            yield

    def holder(self, path: Path) -> str | None:
        return self.far.holder(path)


def home_of(host: Host) -> Host:
    """The machine of the environment, for whoever asks what is on it."""
    return host.far if isinstance(host, ClientsHere) else host


def client_host(host: Host, database: Database) -> Host:
    """Where pg_dump and pg_restore run: in the database's container on its host, else here."""
    return host if host.engine is None or database.tools.prefix else ClientsHere(host)
