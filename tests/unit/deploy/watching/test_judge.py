"""When a release has to go, and when it has not: every trigger, on looks made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from stockctl.cli.watch_view import curve, screen
from stockctl.deploy.watching.judge import Judge, Look
from stockctl.deploy.watching.proxied import Own, Seen, between
from stockctl.env.watch_settings import WatchSettings
from stockctl.system.haproxy_counters import Counters
from stockctl.system.haproxy_times import Times
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


# Of each signal a value beyond its limit and one within, so near that a window which holds as much
# of the one as of the other is at the limit.
LEVELS: dict[str, tuple[float, float]] = {
    "health": (1, 0),
    "error_rate": (0.1, 0.0),
    "p95_ms": (0.1, 0.0),
    "mean_ms": (2001, 2000),
    "cpu": (95.1, 95),
    "memory": (95.1, 95),
    "connections": (51, 50),
}


def series(name: str, levels: list[float | None]) -> list[Look]:
    """A look each second; None: at that one nothing could be seen."""
    total, found = Sample(), []
    for second, level in enumerate(levels):
        fields: dict[str, Any] = {**WELL, "at_s": float(second)}
        each = level or 0.0
        total = total.plus(
            traffic(
                1,
                errors=each if name == "error_rate" else 0.0,
                slow=each if name == "p95_ms" else 0.0,
            )
        )
        fields["sample"] = None if level is None else total
        if name == "health":
            fields["unwell"] = "503" if level else ""
        elif name not in ("error_rate", "p95_ms"):
            fields[name] = level
        found.append(Look(**fields))
    return found


@pytest.mark.parametrize("name", LEVELS)
def test_every_signal_fires_when_it_should_and_names_itself(name: str) -> None:
    over, under = LEVELS[name]
    verdicts = run(judge(), series(name, [under] * 20 + [over] * 20))
    fired = first(verdicts)
    assert fired is not None
    assert 25 <= fired <= 30  # 5 s after it began, and those which are of a window fill that first
    assert verdicts[fired].startswith("not well" if name == "health" else f"{name} is ")
    assert {said.split()[0] for said in verdicts if said} == {verdicts[fired].split()[0]}


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize(
    "over_and_under",
    ["10000000000", "1111000000", "10", "110", "1111?"],
    ids=["one bad second", "four", "every other", "two of three", "nothing seen between"],
)
def test_what_is_not_broken_all_the_time_never_fires(name: str, over_and_under: str) -> None:
    """Around the limit, in whatever rhythm, for minutes."""
    over, under = LEVELS[name]
    if name in ("error_rate", "p95_ms") and over_and_under == "110":
        over = 0.075  # of a window three of five seconds are not too much, four are
    levels = {"1": over, "0": under, "?": None}
    verdicts = run(judge(), series(name, [levels[each] for each in over_and_under] * 30))
    assert first(verdicts) is None, verdicts


def test_the_old_errors_of_one_replica_are_not_held_against_it_when_another_starts_again() -> None:
    old = Sample(100_000, 20_000)
    seen = [Look(float(n), sample=old.plus(traffic(500 + n))) for n in range(20)]
    seen += [Look(20.0 + n, sample=old.plus(traffic(20 + n))) for n in range(20)]
    assert first(run(judge(), seen)) is None


def test_a_reset_hides_no_errors_that_come_after_it() -> None:
    seen = [Look(float(n), sample=traffic(n)) for n in range(20)]
    seen += [Look(20.0 + n, sample=traffic(n, errors=0.5)) for n in range(20)]
    fired = first(run(judge(), seen))
    assert fired is not None
    assert 25 <= fired <= 30


def test_without_traffic_only_what_needs_none_is_judged() -> None:
    still = [Look(float(n), sample=Sample(5000, 4000), mean_ms=9000.0, **WELL) for n in range(60)]
    assert first(run(judge(), still)) is None


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
        took = (fast, *[0] * 11, slow, *[0] * 3)  # 0 to 5 ms, 2 to 3 s
        return Seen(Counters(requests), Times(took))

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


def test_a_proxy_that_was_reloaded_is_younger_also_where_more_came_since() -> None:
    """Ten answers before, a hundred after: the ten are no part of the hundred."""

    def seen(answers: int, failed: int, age_s: int | None) -> Seen:
        took = (answers, *[0] * 15)
        return Seen(Counters(answers), Times(took, failed), failed, age_s)

    before = seen(10, 4, 60)
    assert between(before, seen(110, 4, 62), Own()).requests == 100
    anew = between(before, seen(100, 4, 1), Own())
    assert (anew.requests, anew.errors) == (104, 8)  # four answers of 5xx, four that nobody gave
    assert between(before, seen(10, 4, 62), Own()) == Sample(0, 0, dict.fromkeys(anew.buckets, 0.0))


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
