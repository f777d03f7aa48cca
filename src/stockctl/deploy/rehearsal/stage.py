"""Where a rehearsal plays: the database's own image and the new release, in a project of their own.

Its network is internal: nothing in it reaches the live services, or anybody outside. It has none of
the live volumes and publishes no port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stockctl.core.errors import (
    DatabaseUnreachable,
    Refused,
    StockctlError,
    ToolFailed,
    Unhealthy,
)
from stockctl.deploy.rehearsal.stand_in import NAME, official, plain, pointed, stand_in
from stockctl.deploy.site import Site
from stockctl.system import compose
from stockctl.system.compose import Rendered, Stack
from stockctl.system.http import Request, send
from stockctl.system.postgres import ClientTools, Database

KEPT = (
    "command", "entrypoint", "environment", "healthcheck", "image", "init", "read_only", "shm_size",
    "tmpfs", "user", "working_dir",
)  # fmt: skip
FOLDER, LOCK = "rehearsal", "rehearsal.lock"
START_S, TIDY_S, POLL_S = 300.0, 120.0, 0.2


@dataclass(frozen=True, slots=True)
class Stage:
    """The stack, and the services in it."""

    site: Site
    stack: Stack
    database: str
    web: str

    def address(self, service: str) -> str:
        """Of its container. Raises Unhealthy where it has ended."""
        found = self.site.engine.containers(self.stack.project)
        container = next((c for c in found if c.service == service), None)
        where = self.site.engine.address(container.id) if container else None
        if container is None or where is None or container.gave_up:
            logs = self.site.engine.logs(container.id, 30) if container else ""
            raise Unhealthy(f"{service} does not run in the rehearsal", details=logs)
        return where


def document(rendered: Rendered, database: str, web: str, image_id: str) -> dict[str, Any]:
    """The compose file: two services, of each only what runs in it."""
    services = rendered.document["services"]
    kept: dict[str, Mapping[str, Any]] = {database: services[database]}
    kept[web] = {**services[web], "image": image_id}
    return {
        "services": {
            name: {key: value for key, value in service.items() if key in KEPT}
            for name, service in kept.items()
        },
        "networks": {"default": {"internal": True}},
    }


@contextmanager
def staged(site: Site, rendered: Rendered, image_id: str, server_version: str) -> Iterator[Stage]:
    """For as long as the block runs; nothing is left of it then. `server_version`: of the backup's
    server, for a database that is no compose service."""
    project, folder = f"{site.environment.project}-rehearsal", site.directory / FOLDER
    database, web = _database(site), site.service.web
    if database == NAME:
        rendered = _with_stand_in(site, rendered, server_version)
    made = Rendered(document(rendered, database, web, image_id))
    file = folder / "compose.json"
    _clear(site, project, folder, (database, web))  # of one that was killed
    try:
        site.host.write(file, made.to_bytes())
        yield Stage(site, Stack(project, file), database, web)
    finally:
        with site.progress.step("take away"):
            _clear(site, project, folder, (database, web))


def _database(site: Site) -> str:
    """The compose service that it runs in. Raises Refused without a database."""
    settings = site.environment.database
    if settings is None:
        name = site.environment.name
        raise Refused(f"{name} has no database: there is nothing to rehearse a deploy on")
    return settings.service or NAME


def _with_stand_in(site: Site, rendered: Rendered, server_version: str) -> Rendered:
    """With one more service, and the web service asking it."""
    settings, web, live = site.environment.database, site.service.web, site.database
    assert settings is not None and live is not None
    services = rendered.document["services"]
    image = settings.image or official(server_version)
    changed = {NAME: stand_in(image, live.dsn), web: pointed(services[web], live.dsn)}
    return Rendered({**rendered.document, "services": {**services, **changed}})


def _clear(site: Site, project: str, folder: Path, services: Sequence[str]) -> None:
    try:
        site.host.run(compose.erase(project, services), timeout_s=TIDY_S)
        site.host.remove(folder)
    except StockctlError as error:
        site.progress.warn(f"something of a rehearsal is left, the project {project}: {error}")


def start_database(stage: Stage) -> Database:
    """Another server of the same image and with the same password, empty. Raises Unhealthy,
    DatabaseUnreachable, ToolFailed where its image is not to be had."""
    site = stage.site
    assert site.database is not None
    try:
        site.host.run(stage.stack.start((stage.database,)), timeout_s=START_S)
    except ToolFailed as error:
        if stage.database == NAME:
            error.hint = "database.image names the image of the server that is started for it."
        raise
    tools = ClientTools(prefix=compose.enter(stage.stack.project, stage.database))
    until = site.clock.monotonic() + site.environment.deploy.health_timeout
    while True:
        inside = plain(site.database.dsn, stage.address(stage.database))
        host, port = site.host.reach(inside.host, inside.port)
        database = Database(replace(inside, host=host, port=port), tools)
        try:
            with database.connect():
                return database
        except DatabaseUnreachable:
            if site.clock.monotonic() > until:
                raise
        site.clock.sleep(POLL_S)


def run_once(stage: Stage, argv: Sequence[str]) -> None:
    """In the new image, beside the database. Raises ToolFailed, DeadlineExceeded after
    `deploy.release_timeout`; what is left of it then goes with the stack."""
    site, name = stage.site, f"{stage.stack.project}-release-command"
    timeout_s = site.environment.deploy.release_timeout
    site.host.run(stage.stack.once(stage.web, name, argv), timeout_s=timeout_s)


def start_release(stage: Stage) -> str:
    """Where the new release answers, once it is well. Raises Unhealthy."""
    site = stage.site
    site.host.run(stage.stack.start((stage.web,)), timeout_s=START_S)
    until = site.clock.monotonic() + site.environment.deploy.health_timeout
    while True:
        host, port = site.host.reach(stage.address(stage.web), site.service.port)
        url = f"http://{host}:{port}"
        answer = send(Request("GET", url + site.service.health), timeout_s=5.0)
        if answer.status == 200:
            return url
        if site.clock.monotonic() > until:
            came = answer.failure or f"{answer.status} {answer.text()[:200]}"
            raise Unhealthy(
                f"the new release does not become healthy on the copy: {came}",
                details=_last_words(stage),
            )
        site.clock.sleep(POLL_S)


def _last_words(stage: Stage) -> str:
    found = stage.site.engine.containers(stage.stack.project)
    return "\n".join(stage.site.engine.logs(c.id, 20) for c in found if c.service == stage.web)
