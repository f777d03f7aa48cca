"""What must hold before a deploy touches anything."""

from __future__ import annotations

from stockctl.core.errors import DatabaseUnreachable, EngineUnavailable, ToolFailed
from stockctl.db.ledger import Status, read_status
from stockctl.db.migration import Migration, read_migrations
from stockctl.deploy.site import Site
from stockctl.system import compose
from stockctl.system.compose import Rendered

COMPOSE_S = 60.0
COMPOSE_AT_LEAST = (2, 24)  # `!reset` and `config --format json` as they are used here


def engine_ready(site: Site) -> None:
    """The engine answers and has a Compose that is new enough. Raises EngineUnavailable."""
    site.engine.version()
    try:
        said = site.host.run(compose.version(), timeout_s=COMPOSE_S).stdout.strip()
    except ToolFailed as error:
        raise EngineUnavailable(
            "Docker has no Compose v2 plugin",
            details=error.details,
            hint="https://docs.docker.com/compose/install/linux/",
        ) from error
    numbers = tuple(int(n) for n in said.lstrip("v").split(".")[:2] if n.isdigit())
    if numbers < COMPOSE_AT_LEAST:
        raise EngineUnavailable(
            f"Compose {said} is too old", hint="Version 2.24 or newer is needed."
        )


def rendered_configuration(site: Site) -> Rendered:
    """The compose files, merged and interpolated. Raises ToolFailed with Compose's own words."""
    service = site.service
    folder = service.compose[0].parent
    command = compose.render(site.environment.project, service.compose, site.values, folder)
    rendered = Rendered.parse(site.here.run(command, timeout_s=COMPOSE_S).stdout)
    unknown = [name for name in service.release if name not in rendered.services]
    if unknown:
        raise ToolFailed(
            f"service.release names {', '.join(unknown)}, which no compose file has",
            hint=f"They have: {', '.join(rendered.services)}.",
        )
    return rendered


def migrations_of(site: Site) -> tuple[Migration, ...]:
    """The migration files; none where the environment has no migrations folder."""
    database = site.environment.database
    folder = database.migrations if database else None
    return read_migrations(folder) if folder is not None else ()


def status_if_reachable(site: Site) -> Status | None:
    """The ledger, or None while the database is not there yet (before a first deploy)."""
    if site.database is None:
        return None
    try:
        return read_status(site.database, migrations_of(site))
    except DatabaseUnreachable:
        return None
