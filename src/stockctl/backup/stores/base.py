"""The Store port: named, immutable lumps of bytes. tests/contract/test_stores.py is its contract.

Names are flat and come from an allow-list; a store never shows a name that is not wholly there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Protocol

from stockctl.core.errors import StoreFailed
from stockctl.system.disk import Disk
from stockctl.system.host import Holder

# No leading dot or dash, no slash: safe as a file name, as an object key and on a command line.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing says of an object. `version` changes whenever its bytes do, `modified` is by
    the store's own clock."""

    size: int
    version: str
    modified: datetime


class Writer(Protocol):
    """An object that is being written."""

    def write(self, data: bytes, /) -> int:
        """Takes all of `data`."""

    def commit(self) -> None:
        """Make it durable, then visible under its name."""


class Store(Protocol):
    """Every call either did what it says or raised StoreFailed with a hint. Adapters inherit it."""

    def open_writer(self, name: str, expected_bytes: int = 0) -> AbstractContextManager[Writer]:
        """An object that appears on `commit()`; a block left without it leaves nothing.
        `expected_bytes` is about how many there will be; a store may go by it."""

    def reader(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """The bytes of an object."""

    def put(self, name: str, data: bytes) -> None:
        """A small object, new or in place of the old one, atomically."""
        with self.open_writer(name, len(data)) as writer:
            writer.write(data)
            writer.commit()

    def get(self, name: str) -> bytes:
        """A small object."""
        with self.reader(name) as file:
            return file.read()

    def names(self) -> tuple[str, ...]:
        """Everything that is wholly there, sorted."""

    def entries(self) -> Mapping[str, Entry]:
        """The same with what a listing tells of each, without looking at any of them."""

    def size(self, name: str) -> int:
        """Bytes stored under a name."""

    def delete(self, name: str) -> None:
        """Gone, and fine when it was not there."""

    def sweep(self, prefix: str) -> tuple[str, ...]:
        """Make the store ready and remove unfinished writes of names that begin with `prefix`.

        The caller holds the `lock` under which such names are written, so whoever began them is
        dead. Returns the names that were being written.
        """

    def lock(self, environment: str, holder: Holder) -> AbstractContextManager[None]:
        """The only one at work on an environment's objects, from whatever machine or checkout.

        The lock of a Host covers one host directory, and several may share a store. Held:
        Locked, naming the holder. It dies with its process, in a store on another machine within
        its lease. It is no object: `names` never shows it.
        """

    def describe(self) -> str:
        """For messages: where it is."""

    def disk(self) -> Disk | None:
        """What it is on; None where nobody can tell, or where there is no end to it."""
        return None


def is_gone(store: Store, name: str) -> bool:
    """Whether what was listed is not there any more: whoever lists holds no lock, and a prune may
    have come between. False where the store does not answer, since then nobody can say."""
    try:
        return name not in store.names()
    except StoreFailed:
        return False


def is_name(name: str) -> bool:
    """Whether it can be the name of an object; what else lies in a store is not ours."""
    return _NAME.fullmatch(name) is not None


def checked(name: str) -> str:
    """`name`, when it is one that every store can hold. Raises StoreFailed."""
    if not is_name(name):
        raise StoreFailed(
            f"not a name for a stored object: {name!r}",
            hint="Letters, digits, dots, dashes and underscores; the first a letter or digit.",
        )
    return name
