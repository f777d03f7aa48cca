"""The Docker engine through its SDK: containers, health, logs, image ids."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from stockctl.core.errors import StockctlError, ToolFailed
from stockctl.system.compose import PROJECT_LABEL, RELEASE_LABEL
from stockctl.system.container import Container, LogLine, Usage, container_of, usage_of
from stockctl.system.engine_sdk import errors, load_sdk

if TYPE_CHECKING:
    from docker import DockerClient

TIMEOUT_S = 60
SILENT_S = 30 * 86400


class Engine:
    """A connection to the engine `at`, else that which $DOCKER_HOST names, else the local one.
    Lazy. `require`: says what is wrong with the way there, which its other end cannot."""

    def __init__(
        self,
        timeout_s: int = TIMEOUT_S,
        *,
        at: str | None = None,
        require: Callable[[], None] | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._at = at
        self._require = require
        self._connected: DockerClient | None = None
        self._mutex = threading.Lock()

    @property
    def _client(self) -> DockerClient:
        if self._require is not None:
            self._require()
        with self._mutex:
            if self._connected is None:
                self._connected = self._connect(self._timeout_s)
            return self._connected

    def _connect(self, timeout_s: int) -> DockerClient:
        load_sdk()
        import docker

        from stockctl.system.engine_line import connect

        with errors("reach the Docker engine"):
            if self._at is not None:
                return connect(self._at, timeout_s)
            return docker.from_env(timeout=timeout_s)

    def begin(self) -> None:
        """Connects on a thread beside us. What goes wrong is told to whoever asks something."""
        if "paramiko" not in sys.modules:
            load_sdk()

        def connect() -> None:
            with suppress(Exception):
                _ = self._client

        threading.Thread(target=connect, daemon=True).start()

    def close(self) -> None:
        """Let go of the connection."""
        if self._connected is not None:
            self._connected.close()

    def version(self) -> str:
        """The engine's version. Raises EngineUnavailable."""
        with errors("reach the Docker engine"):
            return str(self._client.version()["Version"])

    def answers(self) -> bool:
        """Whether it takes a new connection, which one that is shutting down does not."""
        try:
            with closing(self._connect(self._timeout_s)) as client, errors("reach the engine"):
                client.ping()
        except StockctlError:
            return False
        return True

    def containers(self, project: str, service: str | None = None) -> tuple[Container, ...]:
        """Every container of a compose project, or of one service of it, running or not, but no
        one-off ones. Each is a question of its own: whoever needs one service asks for that."""
        of = (f"com.docker.compose.service={service}",) if service is not None else ()
        return self._list(f"com.docker.compose.project={project}", *of)

    def beside(self, project: str) -> tuple[Container, ...]:
        """Every container that belongs to a compose project without being in it: its releases'."""
        return self._list(f"{PROJECT_LABEL}={project}")

    def beside_states(self, project: str) -> tuple[tuple[str, str], ...]:
        """The same, of each that has one its release and status: a single question."""
        labels = [f"{PROJECT_LABEL}={project}", "com.docker.compose.oneoff=False"]
        with errors("list containers"):
            found = self._client.api.containers(all=True, filters={"label": labels})
        named = ((each["Labels"].get(RELEASE_LABEL), str(each["State"])) for each in found)
        return tuple((release, status) for release, status in named if release)

    def _list(self, *labels: str) -> tuple[Container, ...]:
        wanted = [*labels, "com.docker.compose.oneoff=False"]
        with errors("list containers"):
            found = self._client.containers.list(
                all=True,
                filters={"label": wanted},
                ignore_removed=True,  # one may go between the list and the look at it
            )
            return tuple(sorted((container_of(c.attrs) for c in found), key=lambda c: c.name))

    def logs(self, container_id: str, lines: int) -> str:
        """The last lines that a container wrote."""
        with errors("read a container's log"):
            raw: bytes = self._client.containers.get(container_id).logs(tail=lines)
            return raw.decode(errors="replace")

    def log(self, container_id: str, lines: int) -> tuple[LogLine, ...]:
        """The same, each with the engine's time, which sorts as text."""
        with errors("read a container's log"):
            container = self._client.containers.get(container_id)
            raw: bytes = container.logs(tail=lines, timestamps=True)
        pairs = (each.partition(" ") for each in raw.decode(errors="replace").splitlines())
        return tuple(LogLine(at, text) for at, _, text in pairs)

    def follow(self, container_id: str, lines: int) -> Iterator[str]:
        """The last lines, and what comes, until the container ends; over a connection of its own,
        since a container may be silent for longer than an engine may."""
        with closing(self._connect(SILENT_S)) as client, errors("read a container's log"):
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

        with errors("look at an image"):
            try:
                attributes = self._client.images.get(image_id).attrs
            except ImageNotFound:
                return ()
            return tuple(attributes["RootFS"].get("Layers") or ())

    def label(self, image_id: str, name: str) -> str | None:
        """What an image says of itself."""
        with errors("look at an image"):
            labels = self._client.images.get(image_id).labels or {}
            return str(labels[name]) if name in labels else None

    def address(self, container_id: str) -> str | None:
        """Where this machine reaches it without a published port; None while it does not run."""
        with errors("look at a container"):
            container = self._client.containers.get(container_id)
        networks = container.attrs["NetworkSettings"]["Networks"].values()
        return next((str(n["IPAddress"]) for n in networks if n.get("IPAddress")), None)

    def usage(self, container_id: str) -> Usage:
        """What it takes of the machine. Raises ToolFailed for one that has ended."""
        with errors("measure a container"):
            found = self._client.api.stats(container_id, stream=False, one_shot=True)
            limits = self._client.api.inspect_container(container_id)["HostConfig"]
        try:
            return usage_of(found, limits)
        except KeyError:  # it does not run
            raise ToolFailed(f"container {container_id[:12]} takes nothing: it has ended") from None

    def environment(self, container_id: str) -> dict[str, str]:
        """The variables that a container was given, without those that its image brings."""
        with errors("look at a container"):
            container = self._client.containers.get(container_id)
            image = self._client.images.get(container.attrs["Image"])
        own = container.attrs["Config"]["Env"] or []
        brought = set(image.attrs["Config"].get("Env") or [])
        return dict(each.split("=", 1) for each in own if each not in brought and "=" in each)

    def signal(self, container_id: str, name: str) -> None:
        """Sends a signal to the first process of a container."""
        with errors(f"send {name}"):
            self._client.api.kill(container_id, name)

    def processes(self, container_id: str) -> tuple[str, ...]:
        """The command line of each process in a container."""
        with errors("list a container's processes"):
            found = self._client.containers.get(container_id).top(ps_args="-o pid,args")
            return tuple(row[1] for row in found["Processes"] or ())

    def ensure_volume(
        self, name: str, driver: str, options: dict[str, str], labels: dict[str, str]
    ) -> None:
        """Makes a named volume where there is none."""
        from docker.errors import NotFound

        with errors("make a volume"):
            try:
                self._client.volumes.get(name)
            except NotFound:
                self._client.volumes.create(name, driver=driver, driver_opts=options, labels=labels)

    def image_id(self, reference: str) -> str | None:
        """The id of an image that this engine has, else None."""
        from docker.errors import ImageNotFound

        with errors("look for an image"):
            try:
                return str(self._client.images.get(reference).id)
            except ImageNotFound:
                return None

    def tag(self, image_id: str, repository: str, tag: str) -> None:
        """Gives an image one more name, which keeps it from being pruned."""
        with errors("name an image"):
            self._client.images.get(image_id).tag(repository, tag)

    def untag(self, reference: str) -> None:
        """Takes the name away; the image goes with its last name, unless a container uses it."""
        from docker.errors import APIError, ImageNotFound

        with errors("remove an image's name"):
            try:
                self._client.images.remove(reference)
            except ImageNotFound:
                return
            except APIError as error:
                if error.status_code != 409:  # 409: a container still uses it
                    raise
