"""The proxy's container: what it says, and having it load the configuration that is on disk.

HAProxy gives no answer to SIGUSR2, and while it starts it does not even hear it. Loaded means that
it answers with the configuration's fingerprint; until then the signal is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stockctl.core.errors import ToolFailed, Unhealthy
from stockctl.deploy.site import Site
from stockctl.system import haproxy, haproxy_counters
from stockctl.system.compose_release import PROXY
from stockctl.system.container import Container
from stockctl.system.haproxy import Route
from stockctl.system.haproxy_counters import Counters
from stockctl.system.http import Request, send

LOADED_S = 45.0  # one that starts asks for the address of each server, and may ask in vain
AGAIN_S = 2.0
POLL_S = 0.02
ASK_S = 2.0
IDLE_PROCESSES = 2  # the master and one worker


@dataclass(frozen=True, slots=True)
class Proxy:
    """The container of one environment's proxy."""

    site: Site

    def container(self) -> Container | None:
        """Running or not."""
        found = self.site.engine.containers(self.site.environment.project, PROXY)
        return found[0] if found else None

    def running(self) -> Container | None:
        """Only if it takes requests."""
        found = self.container()
        return found if found is not None and found.status == "running" else None

    def loaded(self, running: Container, text: str) -> bool:
        """Whether this configuration is in force."""
        return self._generation(running) == haproxy.generation(text)

    def reload(self, running: Container, text: str) -> None:
        """Has it load this configuration, which is on disk. Raises ToolFailed."""
        self._signal(running)
        self.await_loaded(running, text)

    def await_loaded(self, running: Container | None, text: str) -> None:
        """Until this configuration, which is on disk, is in force. What had read another one when
        it was told, as it was starting, is told again. Raises ToolFailed."""
        clock = self.site.clock
        began = told = clock.monotonic()
        while (said := self._generation(running)) != haproxy.generation(text):
            now = clock.monotonic()
            if now > began + LOADED_S:
                raise ToolFailed(
                    "the proxy does not take the new configuration", details=self.last_words()
                )
            if now > told + AGAIN_S:
                running = self.running()
                self._signal(running)
                told = now
            elif said is None:  # started again it has another port
                running = self.running()
            clock.sleep(POLL_S)

    def _signal(self, running: Container | None) -> None:
        if running is not None:
            self.site.engine.signal(running.id, "SIGUSR2")

    def _generation(self, running: Container | None) -> str | None:
        answer = self._ask(running, "/generation")
        return answer.strip() if answer is not None else None

    def _ask(self, running: Container | None, path: str) -> str | None:
        port = dict(running.published).get(haproxy.STATS_PORT) if running is not None else None
        if port is None:
            return None
        url = self.site.reached(f"http://127.0.0.1:{port}{path}")
        answer = send(Request("GET", url), timeout_s=ASK_S)
        return answer.text() if answer.status == 200 else None

    def asked(self, path: str, running: Container | None = None) -> str:
        """A page of its own. `running`: its container, where that is known. Raises Unhealthy
        without an answer."""
        text = self._ask(running or self.running(), path)
        if text is None:
            raise Unhealthy("the proxy does not answer", details=self.last_words())
        return text

    def counters(self, routes: tuple[Route, ...]) -> Mapping[str, Counters]:
        """What each release answered since the last reload. Raises Unhealthy without an answer."""
        text = self.asked("/;csv")
        names = {server.name: route.release for route in routes for server in route.servers}
        return haproxy_counters.counters(text, names)

    def drain(self) -> None:
        """Waits until no old worker of the proxy holds a request, at most the drain time."""
        running = self.running()
        clock = self.site.clock
        deadline = clock.monotonic() + self.site.environment.deploy.drain_timeout
        while running is not None and clock.monotonic() < deadline:
            if len(self.site.engine.processes(running.id)) <= IDLE_PROCESSES:
                return
            clock.sleep(POLL_S * 5)

    def last_words(self) -> str:
        """The last lines that it printed, whether it still runs or not."""
        found = self.container()
        return self.site.engine.logs(found.id, 20).strip() if found is not None else ""
