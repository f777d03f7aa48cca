"""The journal of an environment on its host."""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.clock import Clock
from stockctl.core.errors import HostFailed, Terminated
from stockctl.core.journal import Entry, Operation, Outcome, operations
from stockctl.core.progress import Message, Reporter, silent
from stockctl.core.redact import Redactor
from stockctl.core.report import Severity
from stockctl.system.host import Holder, Host, content


def operator() -> str:
    """Who is at the keyboard and where: `ada@laptop`, `ada as root@web1 from 10.1.2.3`.

    Who became root with sudo, and from where somebody came in with SSH, is what one wants to know
    of `root@web1`. A user id without a name (in containers) is fine.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    person = os.environ.get("SUDO_USER") or user
    name = user if person == user else f"{person} as {user}"
    came = os.environ.get("SSH_CLIENT", "").split()[:1]  # sshd(8), ENVIRONMENT
    return " from ".join((f"{name}@{socket.gethostname()}", *came))


@dataclass(frozen=True)
class Journal:
    """Appends to `<directory>/journal.jsonl`; each line is on disk before the work goes on."""

    host: Host
    directory: Path
    environment: str
    clock: Clock
    redactor: Redactor
    report: Reporter = silent

    @property
    def path(self) -> Path:
        return self.directory / "journal.jsonl"

    @property
    def operator(self) -> str:
        """Who is at the keyboard."""
        return operator()

    def holder(self, doing: str) -> Holder:
        """Us, as the holder of a lock."""
        return Holder(operator(), doing, self.clock.now())

    @contextmanager
    def operation(self, command: str) -> Iterator[None]:
        """Writes `started`, runs the block, writes how it ended; exceptions pass.

        A line that cannot be written is said and stops nothing: pruning is what helps a full
        disk, and what is done must not look like a failure.
        """
        identity = uuid.uuid4().hex[:12]
        began = self.clock.monotonic()
        self._try(identity, command, Outcome.STARTED)
        try:
            yield
        except BaseException as error:
            named = {KeyboardInterrupt: "interrupted", Terminated: "terminated"}
            reason = named.get(type(error)) or str(error) or type(error).__name__
            self._try(identity, command, Outcome.FAILED, reason, self._since(began))
            raise
        self._try(identity, command, Outcome.FINISHED, "", self._since(began))

    @contextmanager
    def alone(self, lock: Path, command: str) -> Iterator[Holder]:
        """The block runs as one operation under a lock of the host; what it is given names us to
        other locks. Raises Locked."""
        holder = self.holder(command)
        with self.host.lock(lock, holder), self.operation(command):
            yield holder

    def _since(self, began: float) -> float:
        return round(self.clock.monotonic() - began, 3)

    def _try(
        self,
        identity: str,
        command: str,
        outcome: Outcome,
        detail: str = "",
        duration_s: float | None = None,
    ) -> None:
        try:
            self._write(identity, command, outcome, detail, duration_s)
        except HostFailed as unwritten:
            text = f"the journal misses that {command} {outcome}: {unwritten}"
            self.report(Message(text, Severity.WARNING))

    def _write(
        self,
        identity: str,
        command: str,
        outcome: Outcome,
        detail: str = "",
        duration_s: float | None = None,
    ) -> None:
        entry = Entry(
            identity,
            command,
            self.environment,
            outcome,
            operator(),
            self.clock.now(),
            self.redactor.text(detail),
            duration_s,
        )
        self.host.append(self.path, entry.to_line())

    def operations(self) -> list[Operation]:
        """What was done, oldest first."""
        return operations((content(self.host, self.path) or b"").splitlines())
