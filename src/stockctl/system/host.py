"""The Host port: run, read, write, lock. What a release lives on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from stockctl.core.command import Command, Completed


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, for whoever finds it held."""

    who: str
    doing: str
    since: datetime


class Streaming(Protocol):
    """A running Command whose bytes are streamed. Leaving the block early ends it."""

    @property
    def stdin(self) -> IO[bytes]:
        """Where to write, when it was started for that."""

    @property
    def stdout(self) -> IO[bytes]:
        """Where to read."""

    def close_stdin(self) -> None:
        """Nothing more to write."""

    def check(self, timeout_s: float | None = None) -> None:
        """Wait for the end; ToolFailed unless the exit code is 0."""


class Host(Protocol):
    """A machine. Every call either did what it says or raised a StockctlError.

    `run` raises ToolMissing, DeadlineExceeded and, with `check`, ToolFailed. File calls raise
    HostFailed. `write` is atomic: readers see the old content or the new.
    """

    @property
    def name(self) -> str:
        """For messages: `this machine`, `deploy@prod.example.com`."""

    def run(
        self,
        command: Command,
        *,
        timeout_s: float,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run to the end. `on_line` hears each line of both outputs while it runs."""

    def ask(self, script: str, *arguments: str) -> str:
        """What a small POSIX shell script prints. It must be one that is over at once: over SSH
        it is a single way there and back, and nothing ends it. Raises ToolFailed."""

    def stream(self, command: Command, *, stdin: bool = False) -> AbstractContextManager[Streaming]:
        """Start it and stream; the block must call `check`."""

    def read(self, path: Path) -> bytes: ...

    def found(self, *paths: Path) -> dict[Path, bytes]:
        """What is in those of these files that are there: one question, however many they are."""

    def found_below(self, folder: Path, name: str) -> dict[str, bytes]:
        """What is in the file of this name, in each folder of a folder that has one, by the
        folder's name, sorted; hidden ones are left out."""

    def write(self, path: Path, data: bytes, mode: int = 0o600) -> None: ...

    def append(self, path: Path, data: bytes) -> None:
        """Add a line to a file (0600), on disk when this returns."""

    def exists(self, path: Path) -> bool: ...

    def names(self, folder: Path) -> list[str]:
        """What is in a folder, sorted; empty when there is no such folder."""

    def rename(self, path: Path, to: Path) -> None:
        """In the same folder, in the place of what has that name; on disk when this returns."""

    def remove(self, *paths: Path) -> None:
        """Files, and folders with all that is in them, one after the other; fine where there is
        none."""

    def lock(self, path: Path, holder: Holder) -> AbstractContextManager[None]:
        """Hold it for the block. Raises Locked, naming the holder. Dies with its process."""

    def holder(self, path: Path) -> str | None:
        """Who holds the lock at this moment; None when it is free."""

    def begin(self) -> None:
        """It will be needed: what takes time is begun beside us. Raises nothing."""

    def require(self) -> None:
        """Raises HostFailed where it cannot be reached, with the reason."""

    def reach(self, host: str, port: int) -> tuple[str, int]:
        """Where we find what that machine finds at this address."""

    @property
    def engine(self) -> str | None:
        """Its Docker engine as a DOCKER_HOST; None: what the environment says."""


def content(host: Host, path: Path) -> bytes | None:
    """What is in a file; None where there is none. Over SSH that is one question, not two."""
    return host.found(path).get(path)
