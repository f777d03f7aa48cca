"""The Docker engine through its SDK: containers, health, logs, image ids."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stockctl.core.errors import EngineUnavailable, ToolFailed
from stockctl.system.compose import PROJECT_LABEL, RELEASE_LABEL, WEB_LABEL

if TYPE_CHECKING:
    from docker import DockerClient

TIMEOUT_S = 60
SILENT_S = 30 * 86400
_HINT = "Is it running, and may you use it? stockctl doctor"


@dataclass(frozen=True, slots=True)
class Container:
    """What the engine says of one container."""

    id: str
    name: str
    service: str
    image_id: str
    release: str | None
    status: str  # created, running, paused, restarting, exited, dead
    health: str | None  # starting, healthy, unhealthy; None where the image has no check
    exit_code: int
    restarts: int
    project: str = ""
    web_port: int | None = None  # it takes requests at this port
    published: tuple[tuple[int, int], ...] = ()  # port inside, port on this machine

    @property
    def url(self) -> str | None:
        """Where its web port is reached from this machine."""
        port = dict(self.published).get(self.web_port or 0)
        return f"http://127.0.0.1:{port}" if port else None

    @property
    def state(self) -> str:
        """For a person: `restarting, exit 3, started 2 times, unhealthy`."""
        ended = f"exit {self.exit_code}, started {self.restarts + 1} times" if self.gave_up else ""
        return ", ".join(part for part in (self.status, ended, self.health) if part)

    @property
    def gave_up(self) -> bool:
        """It has ended, or is being started again and again."""
        return self.status in ("exited", "dead", "restarting") or self.restarts > 0


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line, and when the engine got it (RFC 3339, nanoseconds)."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container has taken of the processors since it started, and takes of memory now,
    without what the kernel only caches. `limit_bytes`: its own limit, else the machine's."""

    cpu_s: float
    processors: int
    memory_bytes: float
    limit_bytes: float


def load_sdk() -> None:
    """Imports the SDK, but not paramiko, which takes another 200 ms, unless $DOCKER_HOST wants
    ssh: the SDK goes on without it (docker/transport/__init__.py). To be called on the main
    thread before others may import paramiko."""
    if "docker" in sys.modules:
        return
    spared = "paramiko" not in sys.modules and not os.environ.get("DOCKER_HOST", "").startswith(
        "ssh"
    )
    if spared:
        sys.modules["paramiko"] = None  # type: ignore[assignment]
    try:
        import docker  # noqa: F401
    finally:
        if spared:
            del sys.modules["paramiko"]


class Engine:
    """A connection to the engine `at`, else that which $DOCKER_HOST names, else the local one.
    Lazy."""

    def __init__(self, timeout_s: int = TIMEOUT_S, *, at: str | None = None) -> None:
        self._timeout_s = timeout_s
        self._at = at
        self._connected: DockerClient | None = None

    @property
    def _client(self) -> DockerClient:
        if self._connected is None:
            self._connected = self._connect(self._timeout_s)
        return self._connected

    def _connect(self, timeout_s: int) -> DockerClient:
        load_sdk()
        import docker

        with _errors("reach the Docker engine"):
            if self._at is not None:
                client = docker.DockerClient(base_url=self._at, timeout=timeout_s)
                # The SDK keeps one connection for each URL. Over SSH each is a session, of which
                # sshd allows ten (MaxSessions in sshd_config(5)).
                client.api.headers["Connection"] = "close"
                return client
            return docker.from_env(timeout=timeout_s)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connected is not None:
            self._connected.close()

    def version(self) -> str:
        """The engine's version. Raises EngineUnavailable."""
        with _errors("reach the Docker engine"):
            return str(self._client.version()["Version"])

    def containers(self, project: str) -> tuple[Container, ...]:
        """Every container of a compose project, running or not, but no one-off ones."""
        return self._list(f"com.docker.compose.project={project}")

    def beside(self, project: str) -> tuple[Container, ...]:
        """Every container that belongs to a compose project without being in it: its releases'."""
        return self._list(f"{PROJECT_LABEL}={project}")

    def _list(self, label: str) -> tuple[Container, ...]:
        wanted = [label, "com.docker.compose.oneoff=False"]
        with _errors("list containers"):
            found = self._client.containers.list(
                all=True,
                filters={"label": wanted},
                ignore_removed=True,  # one may go between the list and the look at it
            )
            return tuple(sorted((_container(c.attrs) for c in found), key=lambda c: c.name))

    def logs(self, container_id: str, lines: int) -> str:
        """The last lines that a container wrote."""
        with _errors("read a container's log"):
            raw: bytes = self._client.containers.get(container_id).logs(tail=lines)
            return raw.decode(errors="replace")

    def log(self, container_id: str, lines: int) -> tuple[LogLine, ...]:
        """The same, each with the engine's time, which sorts as text."""
        with _errors("read a container's log"):
            container = self._client.containers.get(container_id)
            raw: bytes = container.logs(tail=lines, timestamps=True)
        pairs = (each.partition(" ") for each in raw.decode(errors="replace").splitlines())
        return tuple(LogLine(at, text) for at, _, text in pairs)

    def follow(self, container_id: str, lines: int) -> Iterator[str]:
        """The last lines, and what comes, until the container ends; over a connection of its own,
        since a container may be silent for longer than an engine may."""
        with closing(self._connect(SILENT_S)) as client, _errors("read a container's log"):
            container = client.containers.get(container_id)
            rest = b""
            for piece in container.logs(tail=lines, stream=True, follow=True):
                *whole, rest = (rest + piece).split(b"\n")
                yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
            if rest:
                yield rest.decode(errors="replace")

    def layers(self, image_id: str) -> tuple[str, ...]:
        """The digests of an image's layers from the bottom up; empty where it is not there."""
        from docker.errors import ImageNotFound

        with _errors("look at an image"):
            try:
                attributes = self._client.images.get(image_id).attrs
            except ImageNotFound:
                return ()
            return tuple(attributes["RootFS"].get("Layers") or ())

    def label(self, image_id: str, name: str) -> str | None:
        """What an image says of itself."""
        with _errors("look at an image"):
            labels = self._client.images.get(image_id).labels or {}
            return str(labels[name]) if name in labels else None

    def address(self, container_id: str) -> str | None:
        """Where this machine reaches it without a published port; None while it does not run."""
        with _errors("look at a container"):
            container = self._client.containers.get(container_id)
        networks = container.attrs["NetworkSettings"]["Networks"].values()
        return next((str(n["IPAddress"]) for n in networks if n.get("IPAddress")), None)

    def usage(self, container_id: str) -> Usage:
        """As `docker stats` counts it (docker/cli, stats_helpers.go)."""
        with _errors("measure a container"):
            found = self._client.api.stats(container_id, stream=False, one_shot=True)
        try:
            memory, cpu = found["memory_stats"], found["cpu_stats"]
            cached = memory["stats"].get(
                "inactive_file", memory["stats"].get("total_inactive_file", 0)
            )
            return Usage(
                cpu["cpu_usage"]["total_usage"] / 1e9,
                int(cpu.get("online_cpus") or 1),
                memory["usage"] - cached,
                memory["limit"],
            )
        except KeyError:  # it does not run
            raise ToolFailed(f"container {container_id[:12]} takes nothing: it has ended") from None

    def environment(self, container_id: str) -> dict[str, str]:
        """The variables that a container was given, without those that its image brings."""
        with _errors("look at a container"):
            container = self._client.containers.get(container_id)
            image = self._client.images.get(container.attrs["Image"])
        own = container.attrs["Config"]["Env"] or []
        brought = set(image.attrs["Config"].get("Env") or [])
        return dict(each.split("=", 1) for each in own if each not in brought and "=" in each)

    def signal(self, container_id: str, name: str) -> None:
        """Sends a signal to the first process of a container."""
        with _errors(f"send {name}"):
            self._client.containers.get(container_id).kill(name)

    def processes(self, container_id: str) -> tuple[str, ...]:
        """The command line of each process in a container."""
        with _errors("list a container's processes"):
            found = self._client.containers.get(container_id).top(ps_args="-o pid,args")
            return tuple(row[1] for row in found["Processes"] or ())

    def ensure_volume(
        self, name: str, driver: str, options: dict[str, str], labels: dict[str, str]
    ) -> None:
        """Makes a named volume where there is none."""
        from docker.errors import NotFound

        with _errors("make a volume"):
            try:
                self._client.volumes.get(name)
            except NotFound:
                self._client.volumes.create(name, driver=driver, driver_opts=options, labels=labels)

    def image_id(self, reference: str) -> str | None:
        """The id of an image that this engine has, else None."""
        from docker.errors import ImageNotFound

        with _errors("look for an image"):
            try:
                return str(self._client.images.get(reference).id)
            except ImageNotFound:
                return None

    def tag(self, image_id: str, repository: str, tag: str) -> None:
        """Gives an image one more name, which keeps it from being pruned."""
        with _errors("name an image"):
            self._client.images.get(image_id).tag(repository, tag)

    def untag(self, reference: str) -> None:
        """Takes the name away; the image goes with its last name, unless a container uses it."""
        from docker.errors import APIError, ImageNotFound

        with _errors("remove an image's name"):
            try:
                self._client.images.remove(reference)
            except ImageNotFound:
                return
            except APIError as error:
                if error.status_code != 409:  # 409: a container still uses it
                    raise


def _container(attributes: dict[str, Any]) -> Container:
    labels, state = attributes["Config"]["Labels"], attributes["State"]
    return Container(
        id=attributes["Id"],
        name=attributes["Name"].lstrip("/"),
        service=labels["com.docker.compose.service"],
        image_id=attributes["Image"],
        release=labels.get(RELEASE_LABEL),
        status=state["Status"],
        health=state.get("Health", {}).get("Status"),
        exit_code=state["ExitCode"],
        restarts=attributes["RestartCount"],
        project=labels.get("com.docker.compose.project", ""),
        web_port=int(labels[WEB_LABEL]) if WEB_LABEL in labels else None,
        published=tuple(_published(attributes)),
    )


def _published(attributes: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """A port may be bound twice, for IPv4 and IPv6; IPv4 comes first."""
    for inside, bound in (attributes.get("NetworkSettings", {}).get("Ports") or {}).items():
        if bound:
            yield int(inside.partition("/")[0]), int(bound[0]["HostPort"])


@contextmanager
def _errors(doing: str) -> Iterator[None]:
    load_sdk()
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        said = error.explanation or str(error)
        raise ToolFailed(f"the Docker engine cannot {doing}: {said}") from error
    except (DockerException, RequestException) as error:
        raise EngineUnavailable(
            "the Docker engine does not answer", details=str(error), hint=_HINT
        ) from error
