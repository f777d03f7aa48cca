"""When a release has to go, and when it has not: every trigger, on looks made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from stockctl.cli.watch_view import curve, screen
from stockctl.deploy.watching.judge import Judge, Look
from stockctl.deploy.watching.proxied import Own, Seen, between
from stockctl.env.watch_settings import WatchSettings
from stockctl.system.haproxy import Counters
from stockctl.system.service_metrics import Sample

INF = float("inf")


def judge(**fields: Any) -> Judge:
    known = {"interval": "1s", "sustained": "5s", "connections": 50}
    return Judge(WatchSettings.model_validate({**known, **fields}))


def traffic(
    second: float, *, errors: float = 0.0, slow: float = 0.0, rate: float = 100.0
) -> Sample:
    """Counters after so many seconds: `rate` requests in each, a share of them wrong or slow."""
    count = rate * second
    buckets = {1.0: count * (1 - slow), 5.0: count, INF: count}
    return Sample(count, count * errors, buckets)


def run(judged: Judge, looks: list[Look]) -> list[str]:
    return [judged.verdict(judged.add(look)) for look in looks]


def first(verdicts: list[str]) -> int | None:
    return next((n for n, said in enumerate(verdicts) if said), None)


WELL: dict[str, Any] = {"cpu": 20.0, "memory": 30.0, "connections": 5}
TRIGGERS: dict[str, tuple[dict[str, Any], str]] = {
    "health": ({"unwell": "/health: 503"}, "not well for 5.0s: /health: 503"),
    "cpu": ({"cpu": 96.0}, "cpu is 96.0 %, more than 95 %, for 5.0s"),
    "memory": ({"memory": 95.5}, "memory is 95.5 %"),
    "connections": ({"connections": 51}, "connections is 51.0, more than 50"),
}


def looks(seconds: int, bad_from: int, bad: dict[str, Any], until: int = 999) -> list[Look]:
    return [
        Look(
            float(n),
            sample=traffic(n),
            **{**WELL, **(bad if bad_from <= n < until else {})},
        )
        for n in range(seconds)
    ]


@pytest.mark.parametrize("name", TRIGGERS)
def test_what_is_broken_for_long_enough_fires_then_and_not_before(name: str) -> None:
    bad, said = TRIGGERS[name]
    verdicts = run(judge(), looks(30, 10, bad))
    assert first(verdicts) == 15
    assert verdicts[15].startswith(said)


@pytest.mark.parametrize("name", TRIGGERS)
def test_what_recovers_in_time_does_not_fire(name: str) -> None:
    assert first(run(judge(), looks(30, 10, TRIGGERS[name][0], until=15))) is None


def test_at_the_threshold_nothing_fires() -> None:
    at = {"cpu": 95.0, "memory": 95.0, "connections": 50}
    assert first(run(judge(), looks(30, 0, at))) is None


def test_a_value_that_goes_up_and_down_does_not_add_up() -> None:
    flapping = [Look(float(n), sample=traffic(n), cpu=99.0 if n % 3 else 10.0) for n in range(60)]
    assert first(run(judge(), flapping)) is None


def test_errors_of_the_last_seconds_count_and_those_before_do_not() -> None:
    def errors(share: float) -> list[Look]:
        good = [Look(float(n), sample=traffic(n)) for n in range(60)]
        base = traffic(59)
        bad = [Look(60.0 + n, sample=base.plus(traffic(n + 1, errors=share))) for n in range(30)]
        return [*good, *bad]

    assert first(run(judge(), errors(0.04))) is None
    fired = first(run(judge(), errors(0.5)))
    assert fired is not None
    assert 60 + 4 <= fired <= 60 + 7
    assert "error_rate is" in run(judge(), errors(0.5))[fired]


def test_slow_answers() -> None:
    slow = [Look(float(n), sample=traffic(n, slow=0.1)) for n in range(20)]
    verdicts = run(judge(), slow)
    assert first(verdicts) is not None
    assert "p95_ms is" in verdicts[first(verdicts) or 0]
    fine = [Look(float(n), sample=traffic(n, slow=0.04)) for n in range(20)]
    assert first(run(judge(), fine)) is None


def test_of_too_few_requests_nothing_is_said_but_that() -> None:
    judged = judge(requests=20)
    for n in range(20):
        readings = judged.add(Look(float(n), sample=traffic(n, errors=1.0, rate=3.0)))
        assert judged.verdict(readings) == ""
    by_name = {each.name: each for each in readings}
    assert (by_name["error_rate"].value, by_name["error_rate"].why) == (None, "too few requests")
    none = {each.name: each for each in judge().add(Look(0.0))}
    assert none["error_rate"].why == "no metrics"


def test_where_only_the_mean_is_known_it_is_held_against_the_limit() -> None:
    def seen(mean_ms: float) -> list[Look]:
        return [Look(float(n), sample=Sample(100.0 * n), mean_ms=mean_ms) for n in range(20)]

    slow = run(judge(), seen(2500))
    assert slow[first(slow) or 0].startswith("mean_ms is 2500.0 ms, more than 2000 ms")
    assert first(run(judge(), seen(1900))) is None


def test_the_proxys_counters_without_what_the_watching_sent() -> None:
    before, own = Seen(Counters(100, 5)), Own(2, 1)
    assert between(before, Seen(Counters(132, 8)), own) == Sample(30.0, 2.0)
    assert between(before, Seen(Counters(102, 6)), own) == Sample()  # nobody else was there
    assert between(before, Seen(Counters(12, 4)), own) == Sample(10.0, 3.0)  # reloaded meanwhile


def test_the_proxys_times_give_a_p95_also_over_a_reload() -> None:
    def seen(requests: int, fast: int, slow: int) -> Seen:
        return Seen(Counters(requests), (fast, *[0] * 11, slow, *[0] * 3))  # 0 to 5 ms, 2 to 3 s

    first, reloaded = seen(1000, 900, 100), seen(100, 90, 10)
    for before, now in (
        (first, seen(1100, 990, 110)),
        (first, reloaded),
        (Seen(Counters()), reloaded),
    ):
        sample = between(before, now, Own())
        assert sample.requests == sample.buckets[INF] == 100
        assert sample.quantile(0.95) == pytest.approx(2.5)
        assert sample.quantile(0.9) == pytest.approx(0.005)
    assert between(first, Seen(Counters(1100)), Own()).quantile(0.95) is None


def test_a_container_that_starts_again_has_shown_it() -> None:
    verdicts = run(judge(), [Look(float(n), restarts=3 if n < 5 else 4) for n in range(8)])
    assert first(verdicts) == 5
    assert verdicts[5] == "a container was started again, 1 times"


def test_a_service_that_was_restarted_counts_from_nothing() -> None:
    seen = [Look(float(n), sample=traffic(n)) for n in range(20)]
    seen += [Look(20.0 + n, sample=traffic(n)) for n in range(20)]
    assert first(run(judge(), seen)) is None


def test_memory_of_looks_is_bounded() -> None:
    judged = judge()
    run(judged, looks(500, 999, {}))
    assert len(judged.looks) < 12


def test_the_screen_has_a_line_and_a_curve_for_each_signal() -> None:
    judged = judge()
    for look in looks(10, 8, {"cpu": 99.0}):
        readings = judged.add(look)
    text = ["".join(part for part, _ in line) for line in screen("r0001", judged, readings, 60)]
    assert len(text) == 1 + len(readings)
    cpu = next(line for line in text if " cpu" in line)
    assert cpu.startswith("✗ cpu")
    assert cpu.endswith("▂▂▂▂▂▂▂▂██")
    assert curve([None, 0.0, 1.0, 2.0], 2.0) == "·▁▅█"
