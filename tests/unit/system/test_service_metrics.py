"""Requests, errors and quantiles out of Prometheus' text, held against the library's own."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from stockctl.system.service_metrics import Names, Sample, missing, parse


def rendered() -> str:
    registry = CollectorRegistry()
    requests = Counter("http_requests_total", "x", ("route", "status"), registry=registry)
    took = Histogram(
        "http_request_duration_seconds", "x", ("route",), buckets=(0.1, 1), registry=registry
    )
    for route, status, seconds in [
        ("/a", "200", 0.05),
        ("/a", "200", 0.05),
        ("/a", "503", 0.5),
        ('/b"\\\n', "404", 5.0),
        ("/health", "500", 9.0),
    ]:
        requests.labels(route, status).inc()
        took.labels(route).observe(seconds)
    return generate_latest(registry).decode()


def test_what_the_library_writes_is_read() -> None:
    found = parse(rendered(), without=("/health",))
    assert (found.requests, found.errors, found.error_rate) == (4, 1, 0.25)
    assert found.buckets == {0.1: 2, 1.0: 3, float("inf"): 4}
    assert parse(rendered()).requests == 5


def test_a_quantile_is_linear_within_its_bucket() -> None:
    found = Sample(100, 0, {0.1: 50.0, 0.5: 100.0, float("inf"): 100.0})
    assert found.quantile(0.95) == pytest.approx(0.1 + 0.4 * 0.9)
    assert found.quantile(0.5) == pytest.approx(0.1)
    assert Sample(10, 0, {0.1: 0.0, float("inf"): 10.0}).quantile(0.95) == 0.1
    assert Sample().quantile(0.95) is None


def test_what_came_between_and_a_restart() -> None:
    before = Sample(10, 1, {0.1: 10.0})
    assert Sample(30, 5, {0.1: 25.0}).since(before) == Sample(20, 4, {0.1: 15.0})
    assert Sample(3, 0, {0.1: 3.0}).since(before) == Sample(3, 0, {0.1: 3.0})
    assert before.plus(Sample(1, 1, {0.2: 1.0})) == Sample(11, 2, {0.1: 10.0, 0.2: 1.0})


OTHERS = Names("api_calls_total", "api_seconds")


def test_other_names_and_what_is_there_instead() -> None:
    other = rendered().replace("http_requests", "api_calls")
    other = other.replace("http_request_duration_seconds", "api_seconds")
    assert parse(other) == Sample()
    found = parse(other, OTHERS, without=("/health",))
    assert (found.requests, found.errors) == (4, 1)
    assert found.buckets == {0.1: 2, 1.0: 3, float("inf"): 4}
    assert missing(other, OTHERS) == missing(rendered(), Names()) == ""
    assert missing(other, Names()) == (
        "no histogram http_request_duration_seconds; it has: api_seconds"
    )
    half = Names("http_requests_total", "api_seconds")
    assert missing(other, half) == "no counter http_requests_total; it has: api_calls_total"
    assert missing("", OTHERS) == "no histogram api_seconds; it has: none"


def test_what_has_counted_nothing_yet_is_there() -> None:
    registry = CollectorRegistry()
    Counter("http_requests_total", "x", ("status",), registry=registry)
    Histogram("http_request_duration_seconds", "x", ("route",), registry=registry)
    assert missing(generate_latest(registry).decode(), Names()) == ""
    assert missing('api_calls_total 3\napi_seconds_bucket{le="1"} 3\n', OTHERS) == ""


@pytest.mark.parametrize("text", ["", "# only\n", "http_requests_total{ 1", "<html>", "a b c"])
def test_what_is_no_metrics_says_nothing(text: str) -> None:
    assert parse(text) == Sample()
