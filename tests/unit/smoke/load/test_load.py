"""Which checks are sent, how many users there are when, and what the figures say."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from stockctl.core.errors import ConfigurationError, ToolFailed
from stockctl.core.secret import Secret
from stockctl.env.load_settings import LoadProfile, profile
from stockctl.env.smoke_check import SmokeCheck
from stockctl.smoke.load.chart import Chart, drawn, round_up
from stockctl.smoke.load.page import page
from stockctl.smoke.load.run import IMAGE, in_container, on_path
from stockctl.smoke.load.sample import Burden, Sample, cpu_between, sample
from stockctl.smoke.load.script import choose, script, stages
from stockctl.smoke.load.verdict import LoadResult, Metrics, growth, judge, read_summary


def check(name: str, **fields: Any) -> SmokeCheck:
    return SmokeCheck.model_validate({"name": name, "path": f"/{name}", **fields})


CHECKS = [
    check("list", headers={"Authorization": "Bearer {token}"}),
    check(
        "register", method="POST", json={"n": "{run}"}, status=[201], capture={"token": "json:t"}
    ),
    check("limit", method="POST", repeat=10, status=[401], any_status=429),
    check("health", tags=["load"]),
    check("user", path="/{id}", tags=["slow"]),
    check("who", headers={"A": "{token}"}, capture={"id": "json:id"}),
    check("forget", method="DELETE", path="/{id}", cleanup=True),
]


@pytest.mark.parametrize(
    ("tag", "once", "rounds"),
    [
        ("load", [], ["health"]),
        ("slow", ["register", "who"], ["user"]),
        ("nobody", ["register", "who"], ["list", "health", "user"]),
    ],
)
def test_tagged_ones_are_sent_and_each_user_fetches_what_they_need_once(
    tag: str, once: list[str], rounds: list[str]
) -> None:
    found = choose(CHECKS, tag)
    assert [each.name for each in found.once] == once
    assert [each.name for each in found.rounds] == rounds


def test_nothing_to_send_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="none is a plain GET"):
        choose([CHECKS[1]], "load")


@pytest.mark.parametrize("shape", ["steady", "spike"])
@pytest.mark.parametrize("seconds", [10.0, 600.0, 28800.0])
def test_stages_take_the_time_of_the_profile(shape: str, seconds: float) -> None:
    settings = LoadProfile(users=500, shape=shape).model_copy(update={"duration": seconds})  # type: ignore[arg-type]
    found = stages(settings)
    assert sum(each for each, _ in found) == pytest.approx(seconds)
    assert max(users for _, users in found) == 500
    if shape == "spike":
        assert [users for _, users in found] == [50, 500, 500, 50, 50]


def test_the_script_holds_the_plan_and_is_a_secret() -> None:
    made = script(choose(CHECKS, "slow"), LoadProfile(), "http://a/", "r7")
    assert "register" not in str(made)
    text = made.reveal()
    assert '"url": "http://a"' in text
    assert "__PLAN__;" not in text
    plan = json.loads(text.split("const plan = ", 1)[1].split(";\nexport const", 1)[0])
    assert [each["name"] for each in plan["once"]] == ["register", "who"]
    assert plan["once"][0]["status"] == [201]


def test_profiles_are_built_in_and_what_is_written_wins() -> None:
    normal, soak = profile({}, "normal"), profile({}, "soak")
    assert normal is not None
    assert soak is not None
    assert (normal.users, normal.duration) == (100, 3600)
    assert (soak.users, soak.duration, soak.memory_growth) == (50, 28800, 20)
    own = profile({"spike": LoadProfile.model_validate({"p95_ms": 900})}, "spike")
    assert own is not None
    assert (own.users, own.shape, own.p95_ms) == (500, "spike", 900)
    assert profile({}, "other") is None


def at(seconds: float, **fields: Any) -> Sample:
    known = {"users": 5.0, "requests": seconds * 10, "failed": 0.0, "p95_ms": 40.0}
    return Sample(at_s=seconds, **{**known, **fields})


GOOD = Metrics(1000, 5, 0.005, 20.0, 400.0, 700.0, 100.0)


def names(thresholds: Any, *, ok: bool) -> set[str]:
    return {each.name for each in thresholds if each.ok == ok}


def test_each_threshold_passes_and_fails() -> None:
    settings = LoadProfile(memory_growth=20)
    seen = [at(n, cpu=50.0, memory=40.0, memory_bytes=100.0) for n in range(10)]
    assert names(judge(settings, GOOD, seen, containers=True), ok=False) == set()
    bad = Metrics(1000, 50, 0.05, 20.0, 501.0, 700.0, 100.0)
    worse = [
        at(n, cpu=90.0, memory=91.0 if n == 3 else 40.0, memory_bytes=100.0 + 9 * n)
        for n in range(10)
    ]
    assert names(judge(settings, bad, worse, containers=True), ok=False) == {
        "p95_ms",
        "error_rate",
        "cpu",
        "memory",
        "memory_growth",
    }


def test_what_could_not_be_measured_does_not_hold() -> None:
    short = [at(1, memory=40.0, memory_bytes=1.0)]
    broken = names(judge(LoadProfile(memory_growth=20), GOOD, short, containers=True), ok=False)
    assert broken == {"cpu", "memory_growth"}
    assert names(judge(LoadProfile(), GOOD, [at(1)], containers=False), ok=True) == {
        "p95_ms",
        "error_rate",
    }
    blind = judge(LoadProfile(memory_growth=20), GOOD, [at(1)], containers=True)
    assert names(blind, ok=False) == {"cpu", "memory", "memory_growth"}
    nothing = Metrics(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert "requests" in names(judge(LoadProfile(), nothing, [], containers=False), ok=False)


def test_growth_leaves_the_warm_up_out() -> None:
    seen = [at(n, memory_bytes=10.0 if n < 2 else 100.0) for n in range(10)]
    assert growth(seen) == pytest.approx(0.0)
    assert growth([at(1)]) is None


def test_processor_time_between_two_looks() -> None:
    before, after = Burden(10.0, 2, 1.0, 1.0), Burden(13.0, 2, 1.0, 1.0)
    assert cpu_between(before, after, 3.0) == 50.0
    assert cpu_between(after, before, 3.0) is None  # another container
    assert cpu_between(None, after, 3.0) is None


def test_a_sample_of_what_k6_says() -> None:
    found = {
        "http_reqs": {"count": 200},
        "http_req_failed": {"rate": 0.25},
        "http_req_duration": {"p(95)": 12.5},
        "vus": {"value": 7},
    }
    assert sample(3.0, found, None, None) == Sample(3.0, 7, 200, 50, 12.5)
    assert sample(1.0, {"vus": {"value": 1}}, None, None) == Sample(1.0, 1, 0, 0, None)


@pytest.mark.parametrize("text", ["", "k6 broke", '{"http_reqs": {}}'])
def test_a_summary_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ToolFailed):
        read_summary(text)


class Outside(HTMLParser):
    """What a page would fetch, and whether its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.curves = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        self.curves += tag == "polyline"
        if tag not in ("meta", "line", "polygon", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "polygon", "polyline"):
            assert self.open.pop() == tag


def test_the_page_stands_by_itself() -> None:
    seen = tuple(at(n, cpu=n, memory=5.0, memory_bytes=1e8, failed=n / 10) for n in range(60))
    settings = LoadProfile(memory_growth=20)
    result = LoadResult("n<>", settings, GOOD, judge(settings, GOOD, seen, containers=True), seen)
    found = Outside()
    made = page(result, "n<> & co", "now")
    found.feed(made)
    assert (found.fetched, found.open, found.curves) == ([], [], 6)
    assert "<script" not in made
    assert "n&lt;&gt; &amp; co" in made
    assert "Passed" in made


def test_a_page_of_a_run_without_samples() -> None:
    result = LoadResult(
        "x", LoadProfile(), GOOD, judge(LoadProfile(), GOOD, [], containers=False), ()
    )
    assert "polyline" not in page(result, "x", "now")


def test_k6_runs_on_this_machine_or_from_its_image_and_its_script_is_no_argument() -> None:
    text = Secret("const plan = {}")
    assert on_path(6565, text).argv == (
        "k6", "run", "--quiet", "--no-color", "--no-usage-report",
        "--address", "127.0.0.1:6565", "-",
    )  # fmt: skip
    contained = in_container(6565, text, "ab12")
    assert contained.argv[:10] == (
        "docker", "run", "--rm", "--interactive", "--network", "host",
        "--name", "stockctl-load-ab12", "--entrypoint", "sh",
    )  # fmt: skip
    assert IMAGE in contained.argv
    assert "latest" not in IMAGE
    assert (
        contained.argv[-8:]
        == ("k6", str(len("const plan = {}")), *on_path(6565, text).argv[1:])[-8:]
    )
    assert (contained.input, contained.holds_input) == (text, True)


def test_an_axis_ends_little_above_what_is_drawn() -> None:
    assert [round_up(value) for value in (0, 0.013, 1, 107, 213, 960)] == [
        1,
        0.015,
        1,
        120,
        250,
        1000,
    ]


def test_all_charts_of_a_run_have_its_whole_time() -> None:
    made = drawn(Chart("Users", ((2.0, 1.0), (58.0, 3.0)), limit=4), 60.0)
    assert ">0</text>" in made
    assert ">30s</text>" in made
    assert ">1m 00s</text>" in made
    assert "2 on average, 3 at most" in made
    assert 'class="limit"' in made
    assert 'class="limit"' not in drawn(Chart("Users", ((0.0, 1.0), (1.0, 1.0)), limit=4), 1.0)
