"""Where a rehearsal plays: the database's own image, the new release and what it depends on, in a
project of their own.

Its network is internal: nothing in it reaches the live services, or anybody outside. It has none of
the live volumes and publishes no port.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from stockctl.core.errors import DatabaseUnreachable, StockctlError, ToolFailed, Unhealthy
from stockctl.deploy import files
from stockctl.deploy.health import wait_for_services
from stockctl.deploy.rehearsal.cast import Cast, cast, document
from stockctl.deploy.rehearsal.mounts import sources
from stockctl.deploy.rehearsal.stand_in import NAME, official, plain, pointed, stand_in
from stockctl.deploy.site import Site
from stockctl.system import compose
from stockctl.system.compose import Rendered, Stack
from stockctl.system.container import Container
from stockctl.system.http import Request, Response, send
from stockctl.system.postgres import ClientTools, Database

FOLDER, LOCK = "rehearsal", "rehearsal.lock"
START_S, TIDY_S, POLL_S, LOG_LINES = 300.0, 120.0, 0.2, 20


@dataclass(frozen=True, slots=True)
class Stage:
    """The stack, who is in it, and what is not as it is in the live one."""

    site: Site
    stack: Stack
    cast: Cast
    left_out: tuple[str, ...]

    def containers(self, services: Collection[str]) -> tuple[Container, ...]:
        """Those that have ended, too."""
        found = self.site.engine.containers(self.stack.project)
        return tuple(c for c in found if c.service in services)

    def address(self, service: str) -> str:
        """Of its container. Raises Unhealthy, with its last words, where it has ended."""
        found = self.containers((service,))
        where = self.site.engine.address(found[0].id) if found else None
        if where is None:
            said = f"{service} does not run in the rehearsal"
            raise Unhealthy(said, details=self.last_words(found))
        return where

    def require_running(self, containers: Sequence[Container]) -> None:
        """Raises Unhealthy with the last words of the first that has ended."""
        ended = next((c for c in containers if c.gave_up), None)
        if ended is not None:
            raise Unhealthy(
                f"{ended.service} does not run in the rehearsal: {ended.state}",
                details=self.last_words((ended,)),
            )

    def last_words(self, containers: Sequence[Container]) -> str:
        """What they wrote, each under its service's name."""
        logs = ((c.service, self.site.engine.logs(c.id, LOG_LINES).rstrip()) for c in containers)
        return "\n".join(f"{service}:\n{log}" for service, log in logs)


@contextmanager
def staged(
    site: Site, rendered: Rendered, image_id: str, server_version: str | None
) -> Iterator[Stage]:
    """For as long as the block runs; nothing is left of it then. `server_version`: of the backup's
    server, for a database that is no compose service; None without a database."""
    project, folder = f"{site.environment.project}-rehearsal", site.directory / FOLDER
    database = _database(site)
    if database == NAME and server_version is not None:
        rendered = _with_stand_in(site, rendered, server_version)
    who = cast(rendered, database, site.service.web, site.service.release)
    made = document(rendered, who, image_id, sources(site.host, site.root, rendered))
    _clear(site, project, folder)  # of one that was killed
    try:
        placed, parcels = files.placed(site, made.rendered, folder / "files")
        files.deliver(site, parcels)
        file = folder / "compose.json"
        site.host.write(file, placed.to_bytes())
        yield Stage(site, Stack(project, file), who, made.left_out)
    finally:
        with site.progress.step("take away"):
            _clear(site, project, folder)


def _database(site: Site) -> str | None:
    """The compose service that it runs in."""
    settings = site.environment.database
    return (settings.service or NAME) if settings is not None else None


def _with_stand_in(site: Site, rendered: Rendered, server_version: str) -> Rendered:
    """With one more service, and all others asking it."""
    settings, live = site.environment.database, site.database
    assert settings is not None and live is not None
    services = rendered.document["services"]
    changed = {name: pointed(service, live.dsn) for name, service in services.items()}
    changed[NAME] = stand_in(settings.image or official(server_version), live.dsn)
    return Rendered({**rendered.document, "services": changed})


def _clear(site: Site, project: str, folder: Path) -> None:
    """By what the engine has of it: the compose file may have been another one then."""
    try:
        services = {c.service for c in site.engine.containers(project)}
        site.host.run(compose.erase(project, sorted(services)), timeout_s=TIDY_S)
        found = site.host.run(compose.volumes(project), timeout_s=TIDY_S).stdout.split()
        if found:
            site.host.run(compose.remove_volumes(found), timeout_s=TIDY_S)
        site.host.remove(folder)
    except StockctlError as error:
        site.progress.warn(f"something of a rehearsal is left, the project {project}: {error}")


def start_database(stage: Stage) -> Database:
    """Another server of the same image and with the same password, empty. Raises Unhealthy,
    DatabaseUnreachable, ToolFailed where its image is not to be had."""
    site, name = stage.site, stage.cast.database
    assert site.database is not None and name is not None
    try:
        site.host.run(stage.stack.start((name,)), timeout_s=START_S)
    except ToolFailed as error:
        if name == NAME:
            error.hint = "database.image names the image of the server that is started for it."
        raise
    tools = ClientTools(prefix=compose.enter(stage.stack.project, name))
    until = site.clock.monotonic() + site.environment.deploy.health_timeout
    while True:
        stage.require_running(stage.containers((name,)))
        inside = plain(site.database.dsn, stage.address(name))
        host, port = site.host.reach(inside.host, inside.port)
        database = Database(replace(inside, host=host, port=port), tools)
        try:
            with database.connect():
                return database
        except DatabaseUnreachable:
            if site.clock.monotonic() > until:
                raise
        site.clock.sleep(POLL_S)


def start_beside(stage: Stage) -> None:
    """The long-lived services that the release depends on, as far as their health checks want.
    One that ends well has done its work. Raises Unhealthy."""
    site, names = stage.site, stage.cast.beside
    try:
        site.host.run(stage.stack.start_in_order(names), timeout_s=START_S)
    except ToolFailed as error:
        words = stage.last_words(stage.containers(names))
        details = "\n".join(filter(None, (error.details, words)))
        raise Unhealthy(f"{', '.join(names)} cannot be started", details=details) from error
    wait_for_services(site, stage.stack.project, names)
    found = stage.containers(names)
    stage.require_running([c for c in found if not (c.status == "exited" and c.exit_code == 0)])


def run_once(stage: Stage, argv: Sequence[str]) -> None:
    """In the new image, beside the database. Raises ToolFailed, DeadlineExceeded after
    `deploy.release_timeout`; what is left of it then goes with the stack."""
    site, name = stage.site, f"{stage.stack.project}-release-command"
    timeout_s = site.environment.deploy.release_timeout
    site.host.run(stage.stack.once(stage.cast.web, name, argv), timeout_s=timeout_s)


def start_release(stage: Stage) -> str:
    """Where the new release answers, once it is well by the measure of a deploy: its health check
    answers, and every released service runs and has passed the check that it may have. Raises
    Unhealthy."""
    site, names = stage.site, stage.cast.released
    site.host.run(stage.stack.start(names), timeout_s=START_S)
    until = site.clock.monotonic() + site.environment.deploy.health_timeout
    while True:
        found = stage.containers(names)
        stage.require_running(found)
        host, port = site.host.reach(stage.address(stage.cast.web), site.service.port)
        url = f"http://{host}:{port}"
        answer = send(Request("GET", url + site.service.health), timeout_s=5.0)
        well = {c.service for c in found if c.status == "running" and c.health in (None, "healthy")}
        if answer.status == 200 and well == set(names):
            return url
        if site.clock.monotonic() > until:
            raise _unwell(stage, answer, found, well)
        site.clock.sleep(POLL_S)


def _unwell(
    stage: Stage, answer: Response, found: Sequence[Container], well: Collection[str]
) -> Unhealthy:
    came = answer.failure or f"{answer.status} {answer.text()[:200]}"
    others = "".join(f"; {c.service}: {c.state}" for c in found if c.service not in well)
    return Unhealthy(
        f"the new release does not become healthy on the copy: {came}{others}",
        details=stage.last_words(found),
    )


def stop_release(stage: Stage) -> None:
    """As a deploy with `recreate` stops the one before."""
    stop_s = stage.site.environment.deploy.stop_timeout
    command = stage.stack.stop(stop_s, stage.cast.released)
    stage.site.host.run(command, timeout_s=START_S + stop_s)
