"""One look at the release that serves."""

from __future__ import annotations

from collections.abc import Sequence

from stockctl.core.errors import ConfigurationError, StockctlError
from stockctl.core.progress import Progress, silent
from stockctl.db.inspect.glance import read_glance
from stockctl.deploy.replicas import sample
from stockctl.deploy.site import Site
from stockctl.deploy.watching.judge import Look
from stockctl.deploy.watching.proxied import Own, Tally
from stockctl.smoke.run import smoke
from stockctl.smoke.suite import select
from stockctl.system.container import Container, Usage, processors
from stockctl.system.http import Request, send
from stockctl.system.postgres import errors
from stockctl.system.service_metrics import Sample

TIMEOUT_S = 5.0


class Eyes:
    """Remembers what a figure between two looks needs."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._began = site.clock.monotonic()
        self._before: tuple[float, dict[str, Usage]] | None = None
        proxied = site.rolling and site.service.metrics is None
        self._tally = Tally(site) if proxied else None
        self._own = Own()
        self._said: set[str] = set()

    def look(self) -> Look:
        """What cannot be seen is None; only that the service does not answer is held against it."""
        at = self._site.clock.monotonic()
        containers = self._containers()
        cpu, memory = self._burden(at, containers)
        unwell = self._unwell()
        seen, mean_ms = self._traffic(containers)
        return Look(
            at_s=at - self._began,
            unwell=unwell,
            sample=seen,
            mean_ms=mean_ms,
            cpu=cpu,
            memory=memory,
            restarts=sum(each.restarts for each in containers),
            connections=self._connections(),
        )

    def _traffic(self, containers: Sequence[Container]) -> tuple[Sample | None, float | None]:
        if self._tally is not None:
            return self._tally.look(self._own)
        try:
            return sample(self._site, containers, timeout_s=TIMEOUT_S), None
        except ConfigurationError as error:
            self._warn(f"errors and p95 are not watched for now: {error}: {error.hint}")
            return None, None

    def _warn(self, said: str) -> None:
        """Once, not at each look."""
        if said not in self._said:
            self._said.add(said)
            self._site.progress.warn(said)

    def _containers(self) -> tuple[Container, ...]:
        released = self._site.service.release
        try:
            return tuple(c for c in self._site.live_containers() if c.service in released)
        except StockctlError:
            return ()

    def _unwell(self) -> str:
        service = self._site.service
        url = service.url.rstrip("/") + service.health
        answer = send(Request("GET", self._site.reached(url)), timeout_s=TIMEOUT_S)
        self._own = Own(1, int(answer.status >= 500))
        if answer.status != 200:
            return f"{service.health}: {answer.failure or answer.status}"
        tag = self._site.environment.watch.smoke
        checks = select(self._site.environment.smoke, tags=[tag]) if tag else ()
        if not checks:
            return ""
        target = self._site.reached(service.url)
        report = smoke(checks, target, Progress(silent, self._site.clock))
        sent, failed = sum(check.repeat for check in checks), len(report.failed)
        self._own = Own(1 + sent, failed)
        return ", ".join(check.name for check in report.failed)

    def _burden(
        self, at: float, containers: Sequence[Container]
    ) -> tuple[float | None, float | None]:
        """Percent of the processors that they may have, since the last look; of its memory, for
        the fullest one."""
        found: dict[str, Usage] = {}
        for each in containers:
            try:
                found[each.id] = self._site.engine.usage(each.id)
            except StockctlError:
                continue
        before, self._before = self._before, (at, found)
        memory = max((100 * u.memory_bytes / u.limit_bytes for u in found.values()), default=None)
        if before is None or not found or found.keys() != before[1].keys() or at <= before[0]:
            return None, memory
        spent = sum(usage.cpu_s - before[1][key].cpu_s for key, usage in found.items())
        return 100 * spent / ((at - before[0]) * processors(found.values())), memory

    def _connections(self) -> int | None:
        site = self._site
        if site.database is None or site.environment.watch.connections is None:
            return None
        try:
            with site.database.connect() as connection, errors("count connections"):
                return read_glance(connection).connections
        except StockctlError:
            return None
