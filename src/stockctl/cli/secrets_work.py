"""What the verbs for secrets share: the environment as a draft, its lock, its journal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stockctl.cli.guard import confirm
from stockctl.cli.session import Session
from stockctl.cli.wiring import private_folder
from stockctl.core.errors import ConfigurationError, HostFailed, Locked
from stockctl.core.secret import Secret
from stockctl.env.dotenv import EnvFile
from stockctl.env.draft import Draft, plain_path, read_draft, sealed_path
from stockctl.env.sheet import Sheet, left_behind, read_sheet, sweep_temporary
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
        journal = self._journal()
        with suppress(HostFailed):  # the journal says what it misses; on a laptop that is fine
            private_folder(journal.directory)
        with self._lock(journal, doing), journal.operation(doing):
            yield

    def sweep(self) -> None:
        """Removes what killed writes have left, if anything, and says so."""
        draft = self.draft
        paths = (plain_path(draft), sealed_path(draft), draft.project.file(draft.name))
        if any(left_behind(path) for path in paths):
            with suppress(Locked), self._lock(self._journal(), "env"):  # else it is in use
                for path in paths:
                    _say_removed(self.session, sweep_temporary(path))

    def _journal(self) -> Journal:
        redactor, report = self.session.output.redactor, self.session.reporter
        directory, name = self.draft.environment.host.directory, self.draft.name
        return Journal(LocalHost(), directory, name, self.session.clock, redactor, report)

    def _lock(self, journal: Journal, doing: str) -> AbstractContextManager[None]:
        private_folder(self.draft.folder)
        return journal.host.lock(self.draft.folder / LOCK, journal.holder(doing))


def begin(session: Session, name: str) -> Work:
    """Raises ConfigurationError where the TOML files are not sound."""
    _say_removed(session, sweep(os.environ))
    work = Work(session, read_draft(session.project(), name, os.environ))
    work.sweep()
    return work


def _say_removed(session: Session, paths: list[Path]) -> None:
    for path in paths:
        session.output.note(f"removed {path}, left behind by a run that was killed")


def revealed(text: Secret) -> bytes:
    """A secret text as it goes into a file."""
    return text.reveal().encode("utf-8")
