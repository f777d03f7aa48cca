"""A release's containers beside those of other releases: a compose project of its own.

    <directory>/releases/r0007/project.json   that project, secrets included, 0600

It needs nothing else: a rollback starts it from this file and the image on the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from stockctl.core.errors import Unhealthy
from stockctl.core.units import format_duration
from stockctl.deploy.release import Release
from stockctl.deploy.site import Site
from stockctl.system import compose_release
from stockctl.system.compose import Rendered, Stack, down
from stockctl.system.compose_release import project_of
from stockctl.system.container import Container
from stockctl.system.haproxy import Route, Server
from stockctl.system.host import content
from stockctl.system.http import Request, Response, send

COMPOSE_S = 300.0
POLL_S = 0.1
ANSWER_S = 5.0
LOG_LINES = 20


def write(site: Site, release_id: str, rendered: Rendered) -> None:
    """Records the release's own project, cut out of the whole configuration."""
    service, project = site.service, site.environment.project
    document = compose_release.beside(
        rendered,
        project=project,
        release_id=release_id,
        services=service.release,
        web=service.web,
        port=service.port,
        replicas=site.environment.deploy.replicas,
    )
    site.host.write(site.releases.project_file(release_id), document.to_bytes())


def _document(site: Site, release_id: str) -> Rendered:
    """A release that was deployed by `recreate`, or adopted, has none yet: it is cut out now."""
    path = site.releases.project_file(release_id)
    data = content(site.host, path)
    if data is None:
        whole = site.host.read(site.releases.compose_file(release_id))
        write(site, release_id, Rendered.parse(whole))
        data = site.host.read(path)
    return Rendered.parse(data)


def containers(site: Site, release_id: str) -> tuple[Container, ...]:
    """The release's containers, running or not."""
    return site.engine.containers(project_of(site.environment.project, release_id))


def start(site: Site, release: Release) -> None:
    """Starts what does not run, and leaves what runs as it is."""
    document = _document(site, release.id)
    whole = Rendered.parse(site.host.read(site.releases.compose_file(release.id)))
    for volume in compose_release.volumes(whole, site.environment.project, document.services):
        site.engine.ensure_volume(volume.name, volume.driver, volume.options, volume.labels)
    stack = Stack(
        project_of(site.environment.project, release.id), site.releases.project_file(release.id)
    )
    site.host.run(stack.start(document.services), timeout_s=COMPOSE_S)


def stop(site: Site, release_id: str) -> None:
    """Stops its containers and keeps them: a way back that only has to start."""
    stop_s = site.environment.deploy.stop_timeout
    stack = Stack(
        project_of(site.environment.project, release_id), site.releases.project_file(release_id)
    )
    site.host.run(stack.stop(stop_s), timeout_s=COMPOSE_S + stop_s)


def remove(site: Site, release_id: str) -> None:
    """Removes its containers and networks; no file of it is needed."""
    stop_s = site.environment.deploy.stop_timeout
    command = down(project_of(site.environment.project, release_id), stop_s)
    site.host.run(command, timeout_s=COMPOSE_S + stop_s)


def route(site: Site, release: Release, share: int = 100) -> Route:
    """Where the proxy finds the release. Raises Unhealthy when no container of it runs."""
    return route_to(release, containers(site, release.id), share)


def route_to(release: Release, found: tuple[Container, ...], share: int = 100) -> Route:
    """The same, of containers that were looked at just now."""
    web = [c for c in found if c.web_port and c.status == "running"]
    if not web:
        raise Unhealthy(f"no container of {release.id} takes requests")
    servers = [
        Server(f"{release.id}-{number}", c.name, c.web_port or 0) for number, c in enumerate(web, 1)
    ]
    return Route(release.id, share, tuple(servers))


def url(site: Site, release: Release) -> str:
    """Where the release is reached without the proxy. Raises Unhealthy."""
    for container in containers(site, release.id):
        if container.url and container.status == "running":
            return site.reached(container.url)
    raise Unhealthy(f"no container of {release.id} takes requests")


def by_hand(site: Site, release_id: str) -> str:
    """What a person types to start it."""
    stack = Stack(
        project_of(site.environment.project, release_id), site.releases.project_file(release_id)
    )
    return str(stack.start(site.service.release))


@dataclass(frozen=True, slots=True)
class Look:
    """A release at one moment: its containers, and what those with a port answered."""

    found: tuple[Container, ...]
    came: tuple[tuple[Container, Response], ...]

    def well(self, *, known: bool, any_answer: bool = False) -> bool:
        """Every container runs, none was found unhealthy, and the health checks answer 200; or
        they answer at all, where any answer will do."""
        starting = ("starting",) if known else ()
        unhealthy = ("unhealthy",) if any_answer else ()
        fine = (None, "healthy", *starting, *unhealthy)
        runs = all(c.status == "running" and c.health in fine for c in self.found)
        answer = all(a.status == 200 or (any_answer and a.status) for _, a in self.came)
        return bool(self.came) and runs and answer

    @property
    def healthy(self) -> bool:
        """Of a release that is known to work."""
        return self.well(known=True)

    @property
    def answers(self) -> bool:
        """Its web service answers, whatever it says."""
        return self.well(known=True, any_answer=True)


def look(site: Site, release: Release) -> Look:
    """As it is now."""
    found = containers(site, release.id)
    came = tuple(
        (c, send(Request("GET", site.reached(c.url + release.health)), timeout_s=ANSWER_S))
        for c in found
        if c.url is not None
    )
    return Look(found, came)


def wait_healthy(
    site: Site, release: Release, *, known: bool = False, any_answer: bool = False
) -> None:
    """Until every container runs and every web container's health check answers 200.

    Where the image or the compose file has a check of its own, Docker must have found it healthy,
    too; for a release that is `known` to work it is enough that it was not found unhealthy.
    `any_answer`: there is nothing better to be had, so that an answer of any kind will do.
    Raises Unhealthy with the last log lines and answers.
    """
    limit_s = site.environment.deploy.health_timeout
    deadline = site.clock.monotonic() + limit_s
    while True:
        seen = look(site, release)
        if seen.well(known=known, any_answer=any_answer):
            return
        if any(c.gave_up for c in seen.found):
            raise _unhealthy(site, release, seen, "ended by itself")
        if site.clock.monotonic() > deadline:
            how = f"is not healthy after {format_duration(limit_s)}"
            raise _unhealthy(site, release, seen, how)
        site.clock.sleep(POLL_S)


def _unhealthy(site: Site, release: Release, seen: Look, how: str) -> Unhealthy:
    """What a person needs to see first: who ended how, its last answer, its last words."""
    lines = []
    for container, answer in seen.came:
        came = answer.failure or f"{answer.status} {answer.text()[:300]}".strip()
        lines.append(f"{container.name}: GET {release.health}: {came}")
    return Unhealthy(
        f"release {release.id} {how}", details="\n".join([*lines, *last_words(site, seen.found)])
    )


def last_words(site: Site, found: tuple[Container, ...]) -> list[str]:
    """Each container's state and its last log lines."""
    lines = []
    for container in found:
        lines.append(f"{container.name}: {container.state}; its last lines:")
        said = site.engine.logs(container.id, LOG_LINES).rstrip() or "(it printed nothing)"
        lines += [f"  {line}" for line in said.splitlines()]
    return lines or ["no container of it was made"]
