"""rich's console, for streams whose reader may leave."""

from __future__ import annotations

import os
from typing import IO, Any

from rich.console import Console


def hush(file: IO[Any]) -> None:
    """Whoever read has left: what is still written goes nowhere, and fails nowhere."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, file.fileno())
    os.close(descriptor)


class SteadyConsole(Console):
    """Does not end the program when its reader leaves: a deploy goes on without its watcher, and
    the exit code tells how it went. rich's own raises SystemExit(1) in the middle of the work."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        hush(self.file)
