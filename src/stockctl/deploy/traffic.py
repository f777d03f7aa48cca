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
from dataclasses import dataclass
from pathlib import Path

from stockctl.core.command import Command
from stockctl.core.errors import ConfigurationError, HostFailed, ToolFailed
from stockctl.deploy.proxy import Proxy
from stockctl.system import compose_release, haproxy
from stockctl.system.compose import Rendered, Stack
from stockctl.system.compose_release import PROXY
from stockctl.system.container import Container
from stockctl.system.haproxy import Maintenance, Route, Tls
from stockctl.system.host import content

COMPOSE_S = 600.0  # its image may have to be fetched
CHECK_S = 30.0


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

    def _rendered(self, routes: tuple[Route, ...], health: str) -> str:
        """For the container as it was made: what the settings say now may not be mounted yet."""
        settings = self.site.environment
        secured, tls = compose_release.tls_of(self.described()), None
        if secured is not None:
            folder, port = secured
            tls = Tls(port, settings.proxy.hsts, self._certificates(folder))
        drain_s = settings.deploy.drain_timeout
        return haproxy.render(
            routes, health=health, drain_s=drain_s, tls=tls, maintenance=self.maintenance()
        )

    def maintenance(self) -> Maintenance | None:
        """What `deploy maintenance --on` has noted; it outlasts deploys."""
        path = self.site.maintenance_file
        data = content(self.site.host, path)
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
        text = self._rendered(routes, health)
        running = self.running()
        if running is None:
            self._write(text)
            self._start()
        elif text != self._text() or not self.loaded(text):
            self._check(running, text)
            self._write(text)
            self.reload(text)

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
        self.site.host.run(command, timeout_s=COMPOSE_S)
        self.await_started()

    def by_hand(self) -> str:
        """What a person types to start it."""
        return str(self.stack.start((PROXY,)))

    def prepare(self, routes: tuple[Route, ...], health: str) -> None:
        """Everything but the start: for a port that somebody else still holds."""
        self._write(self._rendered(routes, health))
        self.site.host.run(self.stack.create((PROXY,)), timeout_s=COMPOSE_S)

    def await_started(self) -> None:
        """Until a proxy that was just started has loaded what is on disk. Raises ToolFailed."""
        if self.running() is None:
            raise ToolFailed("the proxy does not start", details=self.last_words())
        self.await_loaded(self._text())

    def _write(self, text: str) -> None:
        self.site.host.write(self._config, text.encode())

    def _start(self) -> None:
        command = self.stack.replace((PROXY,), self.site.environment.deploy.drain_timeout)
        self.site.host.run(command, timeout_s=COMPOSE_S)
        self.await_started()

    def _check(self, running: Container, text: str) -> None:
        """Raises ToolFailed with HAProxy's own words, having changed nothing."""
        candidate = self._config.with_name(haproxy.CANDIDATE)
        self.site.host.write(candidate, text.encode())
        inside = f"{haproxy.FOLDER}/{haproxy.CANDIDATE}"
        argv = ("docker", "exec", running.id, "haproxy", "-c", "-f", inside)
        done = self.site.host.run(Command(argv), timeout_s=CHECK_S, check=False)
        self.site.host.remove(candidate)
        if not done.ok:
            said = (done.stderr + done.stdout).strip()
            rejects = "[ALERT]" in said  # else it was not even asked
            how = "HAProxy rejects the new" if rejects else "HAProxy could not be asked about its"
            raise ToolFailed(f"{how} configuration", details=said)

    def take_down(self) -> None:
        """Removes the proxy: its port is free afterwards."""
        if self.container() is not None:
            drain_s = self.site.environment.deploy.drain_timeout
            self.site.host.run(self.stack.remove((PROXY,)), timeout_s=COMPOSE_S + drain_s)
        self.site.host.remove(self._config)
