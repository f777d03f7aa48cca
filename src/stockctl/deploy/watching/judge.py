"""Looks → a verdict. Pure: time is in the looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stockctl.core.units import format_duration
from stockctl.env.watch_settings import WatchSettings
from stockctl.system.service_metrics import Sample


@dataclass(frozen=True, slots=True)
class Look:
    """A moment. `sample` only grows, but for services that start again; None where nothing could
    be seen.
    `unwell` says why the health check, or a smoke check, did not pass. `mean_ms`: what an answer
    took, where nobody knows how they spread."""

    at_s: float
    unwell: str = ""
    sample: Sample | None = None
    mean_ms: float | None = None
    cpu: float | None = None
    memory: float | None = None
    restarts: int = 0
    connections: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One signal at one look. `value` is None where nothing can be said, and `why` says why."""

    name: str
    value: float | None
    limit: float
    unit: str
    why: str = ""

    @property
    def broken(self) -> bool:
        return self.value is not None and self.value > self.limit


@dataclass
class Judge:
    """Remembers the looks. A signal fires once it was broken at every look for `sustained`; one
    look at which it was not, or at which nothing can be said, begins anew."""

    settings: WatchSettings
    looks: list[Look] = field(default_factory=list)
    history: dict[str, list[float | None]] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _seen: Sample | None = None
    _total: Sample = field(default_factory=Sample)

    def add(self, look: Look) -> tuple[Reading, ...]:
        """What it says. Older looks than are needed are forgotten."""
        look = replace(look, sample=self._added(look.sample))
        self.looks.append(look)
        keep = look.at_s - self.settings.sustained - 2 * self.settings.interval
        while len(self.looks) > 2 and self.looks[1].at_s < keep:
            del self.looks[0]
        readings = self._readings(look)
        for each in readings:
            self.history.setdefault(each.name, []).append(each.value)
        broken = [each.name for each in readings if each.broken]
        self._since = {name: self._since.get(name, look.at_s) for name in broken}
        return readings

    def _added(self, now: Sample | None) -> Sample | None:
        """Since the first look. Of the time in which a replica started again nothing is known: what
        is left of the sum are the old figures of the others."""
        if now is None:
            return None
        if self._seen is not None and not now.fell(self._seen):
            self._total = self._total.plus(now.since(self._seen))
        self._seen = now
        return self._total

    def verdict(self, readings: tuple[Reading, ...]) -> str:
        """Why the release is withdrawn; empty while there is no reason to."""
        now = self.looks[-1]
        for each in readings:
            since = self._since.get(each.name)
            if since is not None and now.at_s - since >= self._patience(each.name):
                return self._said(each, now)
        return ""

    def _patience(self, name: str) -> float:
        """A container that starts again and again has shown it already."""
        return 0.0 if name == "restarts" else self.settings.sustained

    def _said(self, reading: Reading, now: Look) -> str:
        if reading.name == "health":
            return f"not well for {format_duration(self.settings.sustained)}: {now.unwell}"
        if reading.name == "restarts":
            return f"a container was started again, {reading.value:.0f} times"
        value = f"{reading.value:.1f} {reading.unit}".strip()
        limit = f"{reading.limit:g} {reading.unit}".strip()
        lasting = format_duration(self.settings.sustained)
        return f"{reading.name} is {value}, more than {limit}, for {lasting}"

    def _readings(self, look: Look) -> tuple[Reading, ...]:
        s = self.settings
        found = [
            Reading("health", float(bool(look.unwell)), 0.0, "", look.unwell),
            Reading("restarts", float(look.restarts - self.looks[0].restarts), 0.0, ""),
            *self._traffic(),
            Reading("cpu", look.cpu, s.cpu, "%"),
            Reading("memory", look.memory, s.memory, "%"),
        ]
        if s.connections is not None:
            taken = None if look.connections is None else float(look.connections)
            found.append(Reading("connections", taken, s.connections, ""))
        return tuple(found)

    def _traffic(self) -> list[Reading]:
        s, window = self.settings, self._window()
        too_few = None if window is None else int(window.requests) < s.requests
        why = "no metrics" if too_few is None else "too few requests" if too_few else ""

        def value(of: Callable[[Sample], float | None]) -> float | None:
            return of(window) if window is not None and not why else None

        errors = value(lambda each: 100 * each.error_rate)
        return [Reading("error_rate", errors, s.error_rate, "%", why), self._duration(value, why)]

    def _duration(
        self, value: Callable[[Callable[[Sample], float | None]], float | None], why: str
    ) -> Reading:
        """Against the mean the same limit is held: p95 is hardly ever below it."""
        limit, mean = self.settings.p95_ms, self.looks[-1].mean_ms
        if mean is not None:
            return Reading("mean_ms", value(lambda _: mean), limit, "ms", why)
        p95 = value(lambda sample: sample.quantile(0.95))
        return Reading("p95_ms", None if p95 is None else 1000 * p95, limit, "ms", why)

    def _window(self) -> Sample | None:
        """The requests of the last `sustained` seconds, or of as many as there are."""
        now = self.looks[-1]
        if now.sample is None:
            return None
        from_s = now.at_s - max(self.settings.sustained, self.settings.interval)
        seen = [each for each in self.looks[:-1] if each.sample is not None]
        before = [each for each in seen if each.at_s <= from_s] or seen[:1]
        earlier = before[-1].sample if before else None
        return now.sample.since(earlier) if earlier is not None else Sample()
