"""The only place that builds adapters."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stockctl.cli.gate import report_unsound, require_sound
from stockctl.cli.session import Session
from stockctl.core.errors import ConfigurationError, HostFailed
from stockctl.core.hint import WRITABLE
from stockctl.env.needs import ALL, Needs

if TYPE_CHECKING:  # what they need is imported when something is opened: not for a `--help`
    from stockctl.backup.stores.base import Store
    from stockctl.core.clock import Clock
    from stockctl.db.migration import Migration
    from stockctl.deploy.site import Site
    from stockctl.env.load import Loaded
    from stockctl.env.model import DatabaseSettings, Environment
    from stockctl.system.host import Host
    from stockctl.system.journal_file import Journal
    from stockctl.system.postgres import Database

CLIENT_TOOLS = "STOCKCTL_CLIENT_TOOLS"
_OWN_MIGRATOR = (
    "The service has a migrator of its own: each deploy runs `{}` (deploy.release_command)."
    " What that does to the database is not seen here."
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A loaded environment, its host and its journal."""

    session: Session
    loaded: Loaded
    host: Host
    journal: Journal
    needs: Needs = ALL

    @property
    def environment(self) -> Environment:
        return self.loaded.environment

    @property
    def directory(self) -> Path:
        return self.environment.host.directory

    @property
    def lock_file(self) -> Path:
        """Held by a deploy, a rollback, a restore."""
        from stockctl.deploy.site import LOCK

        return self.directory / LOCK

    @property
    def clock(self) -> Clock:
        """By which its records are written and compared: its host's."""
        return self.journal.clock

    @property
    def folder_here(self) -> Path:
        """What is kept on this machine, also of an environment on another: backups, by default."""
        if self.environment.host.ssh is None:
            return self.directory
        return self.session.project().root.resolve() / ".stockctl" / self.environment.name

    def prepare(self) -> None:
        """Makes the environment's folder, where it is on this machine. Over SSH the first file that
        is written does."""
        if self.environment.host.ssh is None:
            private_folder(self.directory)

    def database_settings(self) -> DatabaseSettings:
        """Raises ConfigurationError where the environment has no database."""
        if self.environment.database is None:
            raise ConfigurationError(f"{self.environment.name} has no [database]")
        return self.environment.database

    def migrations(self) -> tuple[Migration, ...]:
        """Its migration files. Raises ConfigurationError where there is no folder of them."""
        from stockctl.db.migration import read_migrations

        folder, own = self.database_settings().migrations, self.environment.deploy.release_command
        said = _OWN_MIGRATOR.format(own[0]) if own else ""
        if folder is None:
            raise ConfigurationError(
                f"{self.environment.name} has no database.migrations", hint=said
            )
        if own:
            self.session.output.note(said)
        return read_migrations(folder)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The environment's database; an embedded server lives as long as the block."""
        settings = self.database_settings()
        self.prepare()
        if settings.embedded:
            from stockctl.system.embedded import serve

            with serve(self.directory / "postgres") as database:
                yield database
        else:
            yield _database(self.environment, settings, self.host)

    def _site_database(self) -> Database | None:
        """None where there is none for a deploy, or one that cannot be named and is not needed."""
        settings = self.environment.database
        unsound = settings is None and "database" in self.loaded.layers.data
        why = "[database] is not sound" if unsound else ""
        if settings is not None and not settings.embedded:
            try:
                return _database(self.environment, settings, self.host)
            except ConfigurationError as error:
                if self.needs.holds(("database", "url")):
                    raise
                why = str(error)
        if why:
            self.session.progress().warn(f"{why}: contract migrations are not looked for")
        return None

    def store(self) -> Store:
        """Where its backups are."""
        from stockctl.cli.stores import open_store

        return open_store(self)

    @contextmanager
    def site(self, *, hooks: bool = True, looking: bool = False) -> Iterator[Site]:
        """Everything that a deploy works with; `hooks`: whether programs of [hooks] are run.
        `looking`: who writes nothing needs no folder to write to."""
        from stockctl.deploy.site import Site
        from stockctl.system.engine import Engine

        if not looking:
            self.prepare()
        engine = Engine(at=self.host.engine, require=self.host.require)
        if self.environment.host.ssh is not None and not looking:
            engine.begin()
        try:
            yield Site(
                environment=self.environment,
                values=self.loaded.env_file.values() if self.loaded.env_file else {},
                host=self.host,
                engine=engine,
                database=self._site_database(),
                journal=self.journal,
                clock=self.clock,
                progress=self.session.progress(),
                hooks=hooks,
                root=self.session.project().root,
            )
        finally:
            engine.close()


def open_environment(
    session: Session, name: str, *, needs: Needs = ALL, changes: bool = False
) -> Opened:
    """Loads it and teaches the output its secrets. Raises ConfigurationError.

    `changes`: the command will touch something, so every rule has to hold first. `needs`: what
    is wrong beside it is told and stops nothing; what is on the host must be usable in a bad night.
    """
    from stockctl.env.load import load
    from stockctl.system.journal_file import Journal

    if changes and needs is ALL:
        require_sound(session, name)
    loaded = load(session.project(), name, os.environ, needs)
    session.output.redactor.learn(loaded.secrets())
    host = _host(loaded)
    if changes:
        host.begin()
    if changes and needs is not ALL:
        report_unsound(session, name)
    elif loaded.beside:
        session.output.findings(loaded.beside)
    directory = loaded.environment.host.directory
    redactor, report = session.output.redactor, session.reporter
    journal = Journal(host, directory, name, _clock(session, loaded, host), redactor, report)
    return Opened(session, loaded, host, journal, needs)


def _clock(session: Session, loaded: Loaded, host: Host) -> Clock:
    """The host's. Over SSH nothing is asked yet."""
    if loaded.environment.host.ssh is None:
        return session.clock
    from stockctl.system.host_clock import HostClock

    return HostClock(host, session.clock)


def _host(loaded: Loaded) -> Host:
    """The machine that it lives on. Over SSH nothing is connected yet."""
    from stockctl.system.local import LocalHost

    settings = loaded.environment.host
    if settings.ssh is None:
        return LocalHost()
    from stockctl.system.ssh import SshHost
    from stockctl.system.ssh_address import Address, Target

    jump = Address.parse(settings.jump) if settings.jump else None
    host = SshHost(
        Target(Address.parse(settings.ssh), settings.known_hosts, settings.identity_file, jump)
    )
    atexit.register(host.close)
    return host


def _database(environment: Environment, settings: DatabaseSettings | None, host: Host) -> Database:
    from stockctl.system import compose
    from stockctl.system.postgres import ClientTools, Database, Dsn

    assert settings is not None and settings.url is not None
    try:
        dsn = Dsn.parse(settings.url)
    except ValueError as error:
        raise ConfigurationError(f"database.url: {error}") from None
    address = dsn.host
    if environment.host.ssh is not None:
        there, port = host.reach(dsn.host, dsn.port)
        dsn = replace(dsn, host=there, port=port)
    # in our own image, which has the clients and no engine
    here = os.environ.get(CLIENT_TOOLS) == "here"
    inside = settings.service if not here else None
    prefix = compose.enter(environment.project, inside) if inside else ()
    return Database(dsn, ClientTools(prefix=prefix), address)


def engine_of(host: Host) -> dict[str, str]:
    """What a docker command on this machine needs to talk to that machine's engine."""
    return {"DOCKER_HOST": host.engine} if host.engine else {}


def private_folder(directory: Path) -> None:
    """Made with a `.gitignore` of its own: what is kept here must not be committed."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = directory / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise HostFailed(f"cannot make {directory}: {error.strerror}", hint=WRITABLE) from error
