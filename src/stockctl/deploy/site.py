"""What every operation on one environment works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from stockctl.core.clock import Clock
from stockctl.core.errors import ConfigurationError, PlanOutdated
from stockctl.core.progress import Progress
from stockctl.core.secret import Secret
from stockctl.deploy.release import Release, Releases
from stockctl.env.model import Environment, Service
from stockctl.system.compose import Stack
from stockctl.system.container import Container
from stockctl.system.engine import Engine
from stockctl.system.host import Host
from stockctl.system.journal_file import Journal
from stockctl.system.local import LocalHost
from stockctl.system.postgres import Database


def reached(host: Host, url: str) -> str:
    """The URL with another address, where it names the loopback address of another machine.
    Raises ConfigurationError for a port that is no number, as of a value that is missing."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    if not (name == "localhost" or name == "::1" or name.startswith("127.")):
        return url
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise ConfigurationError(f"{url}: the port is no number") from None
    there, number = host.reach(name, port)
    if (there, number) == (name, port):
        return url
    return urlunsplit(parts._replace(netloc=f"{there}:{number}"))


LOCK = "lock"  # in the environment's directory: one deploy, rollback or restore at a time


@dataclass(frozen=True, slots=True)
class Site:
    """An environment with its adapters."""

    environment: Environment
    values: Mapping[str, Secret]  # the env file
    host: Host
    engine: Engine
    database: Database | None
    journal: Journal
    clock: Clock
    progress: Progress
    hooks: bool = True  # whether programs of [hooks] are run
    here: Host = field(default_factory=LocalHost)  # where the project's files are
    root: Path = Path()  # of the project

    @property
    def service(self) -> Service:
        """Raises ConfigurationError where there is nothing to deploy."""
        if self.environment.service is None:
            raise ConfigurationError(
                f"{self.environment.name} has no [service]: there is nothing to deploy"
            )
        return self.environment.service

    @property
    def rolling(self) -> bool:
        """Whether releases run beside one another, behind the proxy."""
        return self.environment.deploy.strategy == "rolling"

    @property
    def remote(self) -> bool:
        """Whether it lives on another machine."""
        return self.environment.host.ssh is not None

    def reached(self, url: str) -> str:
        """Where we find what the host finds at a URL: its loopback address is not ours."""
        return reached(self.host, url)

    @property
    def directory(self) -> Path:
        return self.environment.host.directory

    @property
    def lock_file(self) -> Path:
        return self.directory / LOCK

    @property
    def maintenance_file(self) -> Path:
        return self.directory / "maintenance.json"

    @property
    def releases(self) -> Releases:
        return Releases(self.host, self.directory)

    def stack(self, release: Release) -> Stack:
        """The compose project as this release has it."""
        return Stack(self.environment.project, self.releases.compose_file(release.id))

    def containers(self) -> tuple[Container, ...]:
        """Those of the long-lived project, and those of the releases beside it."""
        project = self.environment.project
        seen = self.engine.containers(project)
        return seen + tuple(c for c in self.engine.beside(project) if c.project != project)

    def live_containers(self) -> tuple[Container, ...]:
        """The same without releases that are kept for a way back."""
        live = self.releases.live()
        base = self.environment.project
        return tuple(
            c for c in self.containers() if c.project == base or (live and c.release == live.id)
        )

    def released_containers(self) -> tuple[Container, ...]:
        """Containers of released services in the long-lived project: the strategy `recreate`, or
        somebody who started them without us."""
        everything = self.engine.containers(self.environment.project)
        return tuple(c for c in everything if c.service in self.service.release)

    def is_live(self, release_id: str) -> bool:
        """Whether the record says that this release serves."""
        standing = self.releases.standing()
        return standing is not None and standing.release == release_id

    def require_live(self, expected: Release | None) -> None:
        """Raises PlanOutdated when another release went live since a plan was made."""
        standing = self.releases.standing()
        live = standing.release if standing else None
        if live != (expected.id if expected else None):
            raise PlanOutdated(
                f"{live or 'nothing'} is live meanwhile, the plan is out of date",
                hint="Run the command again.",
            )
