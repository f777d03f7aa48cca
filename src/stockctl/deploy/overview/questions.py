"""Which pieces an environment has, and who asks each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stockctl.backup.stores.base import Store
from stockctl.core.clock import Clock
from stockctl.deploy.overview.backups import backups_part
from stockctl.deploy.overview.database import database_part
from stockctl.deploy.overview.health import health_part
from stockctl.deploy.overview.host import disk_part, last_part, lock_part
from stockctl.deploy.overview.live import containers_part, live_part
from stockctl.deploy.overview.part import (
    BACKUP,
    DATABASE,
    DISK,
    ENGINE,
    RELEASE,
    SERVICE,
    TIDY,
    Ask,
    Level,
    Part,
)
from stockctl.deploy.overview.spare import spare_part
from stockctl.deploy.overview.traffic import Figures
from stockctl.deploy.site import Site


class Memory:
    """What an earlier look saw, for those that come after it."""

    def __init__(self) -> None:
        self.figures: Figures | None = None


def questions(
    site: Site, open_store: Callable[[], Store], memory: Memory, own: Clock
) -> dict[str, tuple[int, Ask]]:
    """For `gather`, in the order of the screen. `own`: this machine's clock, so that the age of a
    backup is known also where the host does not answer."""
    found: dict[str, tuple[int, Ask]] = {}
    if site.environment.service is not None:
        found["live"] = (RELEASE, lambda: live_part(site))
        found["health"] = (SERVICE, lambda: _health(site, memory))
        found["containers"] = (ENGINE, lambda: _containers(site))
        if site.rolling:
            found["spare"] = (TIDY, lambda: spare_part(site))
    if site.database is not None:
        found["database"] = (DATABASE, lambda: database_part(site))
    elif site.environment.database is not None and site.environment.database.embedded:
        said = "embedded: it runs only while a command uses it"
        found["database"] = (DATABASE, lambda: Part("database", Level.GOOD, (said,)))
    if site.environment.database is not None:
        found["backups"] = (BACKUP, lambda: backups_part(replace(site, clock=own), open_store()))
    found["disk"] = (DISK, lambda: disk_part(site))
    found["lock"] = (TIDY, lambda: lock_part(site))
    found["last"] = (TIDY, lambda: last_part(site))
    return found


def _containers(site: Site) -> Part:
    return containers_part(site, site.live_containers())


def _health(site: Site, memory: Memory) -> Part:
    part, memory.figures = health_part(site, memory.figures)
    return part
