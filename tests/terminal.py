"""A terminal of its own, with somebody who reads and types."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.children import untraced

STOCKCTL = Path(sys.executable).with_name("stockctl")
LIMIT_S = 60.0
# docker looks for its plugins below the real home
DOCKER = {"DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))}


class Terminal:
    """A person's: `expect` what is shown, `type` what is said."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        self.process = subprocess.Popen(
            [STOCKCTL, "--root", root, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,
            env={**untraced(), **DOCKER, "HOME": str(root), "TERM": "dumb", "PAGER": "cat"},
        )
        os.close(theirs)
        self.shown = ""

    def expect(self, text: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while text not in self.shown:
            left = deadline - time.monotonic()
            assert left > 0, self.shown
            if select.select([self.ours], [], [], left)[0]:
                try:
                    self.shown += os.read(self.ours, 65536).decode(errors="replace")
                except OSError:
                    pytest.fail(f"it ended: {self.shown}")

    def type(self, text: str) -> None:
        self.shown = ""
        os.write(self.ours, text.encode())

    def leave(self) -> int:
        self.type("\\q\n")
        return self.end()

    def end(self) -> int:
        deadline = time.monotonic() + LIMIT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.ours], [], [], 0.05)[0]:
                try:
                    self.shown += os.read(self.ours, 65536).decode(errors="replace")
                except OSError:
                    break
        code = self.process.wait(LIMIT_S)
        os.close(self.ours)
        return code


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
