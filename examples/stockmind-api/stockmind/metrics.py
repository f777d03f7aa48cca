"""What Prometheus may ask: requests, their duration, connections in use, AI calls."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)


class Metrics:
    """One registry per application, so that two of them in a process do not collide."""

    def __init__(self, version: str, connections_in_use: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests_total",
            "Answers by method, route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Time to answer.",
            ("method", "route"),
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._ai_requests = Counter(
            "ai_requests_total",
            "AI calls by provider and outcome.",
            ("provider", "status"),
            registry=self._registry,
        )
        connections = Gauge(
            "db_connections_active", "Database connections in use.", registry=self._registry
        )
        connections.set_function(connections_in_use)
        info = Gauge(
            "stockmind_info", "The running version.", ("version",), registry=self._registry
        )
        info.labels(version).set(1)

    def observe_request(self, method: str, route: str, status: int, duration_s: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._duration.labels(method, route).observe(duration_s)

    def observe_ai(self, provider: str, status: str) -> None:
        self._ai_requests.labels(provider, status).inc()

    def render(self) -> bytes:
        return generate_latest(self._registry)
