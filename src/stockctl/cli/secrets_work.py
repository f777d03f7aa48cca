"""What the verbs for secrets share: the environment as a draft, its lock, its journal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from stockctl.cli.guard import confirm
from stockctl.cli.session import Session
from stockctl.cli.wiring import _private_folder
from stockctl.core.errors import ConfigurationError, HostFailed
from stockctl.core.secret import Secret
from stockctl.env.dotenv import EnvFile
from stockctl.env.draft import Draft, read_draft
from stockctl.env.sheet import Sheet, read_sheet
from stockctl.env.workspace import sweep
from stockctl.system.journal_file import Journal
from stockctl.system.local import LocalHost

LOCK = "secrets.lock"  # beside the project, where the env file is, not on the environment's host


@dataclass(frozen=True, slots=True)
class Work:
    """One run of a verb."""

    session: Session
    draft: Draft

    def learn(self, env: EnvFile) -> EnvFile:
        """Teaches the output the secrets of an env file before anything is said about it."""
        self.session.output.redactor.learn(self.draft.secrets_in(env.values()))
        return env

    def read(self) -> Sheet:
        """The env file, its secrets known to the output. Raises ConfigurationError."""
        sheet = read_sheet(self.draft)
        self.learn(sheet.parsed())
        return sheet

    def require(self) -> Sheet:
        """The same; raises ConfigurationError where there is none."""
        sheet = self.read()
        if sheet.raw is None:
            raise ConfigurationError(
                f"there is no {self.draft.label}",
                where=self.draft.layers.where(("env_file",)),
                hint=f"stockctl env generate {self.draft.name}",
            )
        return sheet

    def ask(self, what: str, given: str | None, yes: bool) -> None:
        """On a protected environment. Raises ConfirmationMissing."""
        if self.draft.environment.protected:
            confirm(self.session, self.draft.name, what, protected=True, given=given, yes=yes)

    @contextmanager
    def alone(self, doing: str) -> Iterator[None]:
        """Nobody else changes the env file in the block, and the journal has it."""
        host, name = LocalHost(), self.draft.name
        directory = self.draft.environment.host.directory
        redactor, report = self.session.output.redactor, self.session.reporter
        journal = Journal(host, directory, name, self.session.clock, redactor, report)
        _private_folder(self.draft.folder)
        with suppress(HostFailed):  # the journal says what it misses; on a laptop that is fine
            _private_folder(directory)
        with host.lock(self.draft.folder / LOCK, journal.holder(doing)), journal.operation(doing):
            yield


def begin(session: Session, name: str) -> Work:
    """Raises ConfigurationError where the TOML files are not sound."""
    for folder in sweep(os.environ):
        session.output.note(f"removed {folder}, which an edit that was killed had left behind")
    return Work(session, read_draft(session.project(), name, os.environ))


def revealed(text: Secret) -> bytes:
    """A secret text as it goes into a file."""
    return text.reveal().encode("utf-8")
