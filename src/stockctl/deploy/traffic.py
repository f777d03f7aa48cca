"""Who gets the requests: the proxy in the long-lived project, and its configuration file.

    <directory>/proxy/compose.json           the proxy as a compose service
    <directory>/proxy/config/haproxy.cfg     the truth about traffic; replaced by renaming

A new configuration is checked by the proxy's own HAProxy, renamed into place and loaded by SIGUSR2
to the master: listeners go from the old worker to the new one, and the old one finishes what it
holds, up to the drain time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.command import Command
from stockctl.core.errors import ConfigurationError, HostFailed, ToolFailed
from stockctl.deploy.outlast import to_the_end
from stockctl.deploy.proxy import Proxy
from stockctl.system import compose_release, haproxy
from stockctl.system.compose import Rendered, Stack
from stockctl.system.compose_release import PROXY
from stockctl.system.container import Container
from stockctl.system.haproxy import Maintenance, Route, Tls
from stockctl.system.host import content

COMPOSE_S = 600.0  # its image may have to be fetched
CHECK_S = 20
# seconds, container, file. What HAProxy says, and in the last line its exit code.
_CHECK = """
timeout "$1" docker exec "$2" haproxy -c -f "$3" 2>&1
printf '\\n%s' "$?"
"""


@dataclass(frozen=True, slots=True)
class Traffic(Proxy):
    """The proxy of one environment, and who gets the requests."""

    @property
    def folder(self) -> Path:
        return self.site.directory / "proxy"

    @property
    def document(self) -> Path:
        return self.folder / "compose.json"

    @property
    def _next(self) -> Path:
        return self.folder / "compose.next.json"

    @property
    def _config(self) -> Path:
        return self.folder / "config" / haproxy.FILE

    @property
    def stack(self) -> Stack:
        return Stack(self.site.environment.project, self.document)

    def shares(self) -> dict[str, int]:
        """Which release gets how many percent, as the configuration has it."""
        return haproxy.shares(self._text())

    def _text(self) -> str:
        return (content(self.site.host, self._config) or b"").decode()

    def _read(self) -> dict[Path, bytes]:
        """Its files, those of them that are there: one question."""
        return self.site.host.found(self.document, self.site.maintenance_file, self._config)

    def _rendered(self, routes: tuple[Route, ...], health: str, there: Mapping[Path, bytes]) -> str:
        """For the container as it was made: what the settings say now may not be mounted yet."""
        settings = self.site.environment
        secured, tls = compose_release.tls_of(there.get(self.document, b"")), None
        if secured is not None:
            folder, port = secured
            tls = Tls(port, settings.proxy.hsts, self._certificates(folder))
        drain_s = settings.deploy.drain_timeout
        closed = self._maintenance_in(there)
        return haproxy.render(routes, health=health, drain_s=drain_s, tls=tls, maintenance=closed)

    def maintenance(self) -> Maintenance | None:
        """What `deploy maintenance --on` has noted; it outlasts deploys."""
        return self._maintenance_in(self.site.host.found(self.site.maintenance_file))

    def _maintenance_in(self, there: Mapping[Path, bytes]) -> Maintenance | None:
        path = self.site.maintenance_file
        data = there.get(path)
        if data is None:
            return None
        try:
            said = json.loads(data)
            return Maintenance(int(said["retry_after_s"]), str(said["page"]))
        except (ValueError, KeyError, TypeError) as error:
            raise HostFailed(f"{path} is not what deploy maintenance wrote") from error

    def _certificates(self, folder: Path) -> str:
        """A digest of them; empty where there are none."""
        host, digest = self.site.host, hashlib.sha256()
        names = [name for name in host.names(folder) if not name.startswith(".")]
        found = host.found(*(folder / name for name in names))
        for path in sorted(found):
            digest.update(found[path])
        return digest.hexdigest()[:12] if names else ""

    def route(self, routes: tuple[Route, ...], health: str) -> None:
        """Makes the proxy send requests there, starting it where it does not run. When this
        returns, every new connection goes there. What HAProxy rejects changes nothing; after any
        other failure the file names these routes, and they may be in force or not."""
        there = self._read()
        text = self._rendered(routes, health, there)
        running = self.running()
        if running is None:
            self._write(text)
            self._start()
        elif text != there.get(self._config, b"").decode() or not self.loaded(running, text):
            self._put(running, text)
            self.reload(running, text)

    def describe(self, rendered: Rendered) -> bytes:
        """The proxy as this configuration wants it. Raises ConfigurationError for what a proxy
        cannot be put in front of."""
        environment, service = self.site.environment, self.site.service
        published = compose_release.publications(
            rendered,
            services=service.release,
            web=service.web,
            port=service.port,
            given=environment.proxy.ports,
        )
        tls = environment.proxy.certificates
        if tls is not None:
            if not self._certificates(tls):
                raise ConfigurationError(f"proxy.certificates: there is no file in {tls}")
            published += compose_release.with_tls(environment.proxy.https)
        document = compose_release.proxy(
            rendered,
            project=environment.project,
            services=service.release,
            image=environment.proxy.image,
            published=published,
            folder=self._config.parent,
            certificates=tls,
        )
        return document.to_bytes()

    def described(self) -> bytes:
        """The proxy as it was made; empty where there is none."""
        return content(self.site.host, self.document) or b""

    def declare(self, rendered: Rendered) -> None:
        """Writes down how the proxy is to be, before it is made."""
        self.site.host.write(self.document, self.describe(rendered))
        self.site.host.remove(self._next)

    def make(self) -> None:
        """Its container and the networks, without starting it."""
        if not self.site.host.exists(self._config):
            self._write(haproxy.render((), health="/", drain_s=1))
        self.site.host.run(self.stack.create((PROXY,)), timeout_s=COMPOSE_S)

    def replace(self, rendered: Rendered) -> None:
        """A new container in the place of the running one. It is written down once it runs: killed
        before that, the next deploy does it again."""
        wanted = self.describe(rendered)
        self.site.host.write(self._next, wanted)
        self._exchange(Stack(self.site.environment.project, self._next))
        self.site.host.write(self.document, wanted)
        self.site.host.remove(self._next)

    def between_two(self) -> bool:
        """Whether a replacement has begun and not ended."""
        return self.site.host.exists(self._next) and self.site.host.exists(self.document)

    def put_back(self) -> None:
        """The proxy as it was before a replacement that failed. Raises ToolFailed."""
        self._exchange(self.stack)
        self.site.host.remove(self._next)

    def _exchange(self, stack: Stack) -> None:
        command = stack.replace((PROXY,), self.site.environment.deploy.drain_timeout)
        to_the_end(self.site, (command,), COMPOSE_S)
        self.await_started()

    def by_hand(self) -> str:
        """What a person types to start it."""
        return str(self.stack.start((PROXY,)))

    def prepare(self, routes: tuple[Route, ...], health: str) -> None:
        """Everything but the start: for a port that somebody else still holds."""
        self._write(self._rendered(routes, health, self._read()))
        self.site.host.run(self.stack.create((PROXY,)), timeout_s=COMPOSE_S)

    def await_started(self) -> None:
        """Until a proxy that was just started has loaded what is on disk. Raises ToolFailed."""
        running = self.running()
        if running is None:
            raise ToolFailed("the proxy does not start", details=self.last_words())
        self.await_loaded(running, self._text())

    def _write(self, text: str) -> None:
        self.site.host.write(self._config, text.encode())

    def _start(self) -> None:
        command = self.stack.replace((PROXY,), self.site.environment.deploy.drain_timeout)
        self.site.host.run(command, timeout_s=COMPOSE_S)
        self.await_started()

    def _put(self, running: Container, text: str) -> None:
        """In the place of the configuration, once HAProxy has accepted it. Raises ToolFailed with
        its own words, having changed nothing."""
        host, candidate = self.site.host, self._config.with_name(haproxy.CANDIDATE)
        host.write(candidate, text.encode())
        inside = f"{haproxy.FOLDER}/{haproxy.CANDIDATE}"
        answer = host.ask(_CHECK, str(CHECK_S), running.id, inside)
        said, _, code = answer.rpartition("\n")
        if code == "0":
            host.rename(candidate, self._config)
        else:
            host.remove(candidate)
            rejects = "[ALERT]" in said  # else it was not even asked
            how = "HAProxy rejects the new" if rejects else "HAProxy could not be asked about its"
            raise ToolFailed(f"{how} configuration", details=said.strip())

    def farewell(self) -> tuple[Command, ...]:
        """What removes the proxy: its port is free afterwards, and nobody gets requests by it."""
        gone = Command(("rm", "-f", str(self._config)))
        return (self.stack.remove((PROXY,)), gone) if self.container() is not None else (gone,)

    def take_down(self) -> None:
        """Removes the proxy. Raises ToolFailed."""
        drain_s = self.site.environment.deploy.drain_timeout
        to_the_end(self.site, self.farewell(), COMPOSE_S + drain_s)
