"""In which order checks are sent, what waits, what is not sent at all."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from stockctl.core.errors import ConfigurationError
from stockctl.core.progress import Progress
from stockctl.env.smoke_check import SmokeCheck
from stockctl.smoke.report import Outcome
from stockctl.smoke.run import run
from stockctl.system.http import Request, Response


class Service:
    """Answers by path; remembers what it was asked, in order."""

    def __init__(self, **answers: int | list[int]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.lock = threading.Lock()
        self.busy, self.most = 0, 0

    def __call__(self, request: Request, _timeout_s: float) -> Response:
        name = request.url.removeprefix("http://a/").partition("/")[0]
        with self.lock:
            self.asked.append(name)
            self.bodies.append(request.body or b"")
            self.busy += 1
            self.most = max(self.most, self.busy)
            status = self.answers.get(name, 200)
            if isinstance(status, list):
                status = status.pop(0)
        threading.Event().wait(0.005)
        with self.lock:
            self.busy -= 1
        return Response(status, {}, b'{"id": 7, "path": "%s"}' % name.encode(), 0.01)


def check(name: str, **fields: Any) -> SmokeCheck:
    return SmokeCheck.model_validate({"name": name, "path": f"/{name}", **fields})


def sent(service: Service, progress: Progress, *checks: SmokeCheck) -> dict[str, Outcome]:
    return {each.check.name: each for each in run(checks, "http://a", progress, service)}


def test_what_captures_comes_first_and_outcomes_are_in_their_order(progress: Progress) -> None:
    service = Service()
    user = check("use", path="/use/{id}")
    found = sent(service, progress, user, check("make", capture={"id": "json:id"}))
    assert service.asked == ["make", "use"]
    assert list(found) == ["use", "make"]
    assert all(each.ok for each in found.values())


def test_what_is_independent_is_sent_at_once(progress: Progress) -> None:
    barrier = threading.Barrier(8, timeout=20)

    def meet(_request: Request, _timeout_s: float) -> Response:
        barrier.wait()  # breaks unless all eight are there together
        return Response(200, {}, b"", 0.0)

    found = run([check(f"c{n}") for n in range(8)], "http://a", progress, meet)
    assert all(each.ok for each in found)


def test_after_waits_and_does_not_need_success(progress: Progress) -> None:
    service = Service(first=500)
    found = sent(service, progress, check("second", after=["first"]), check("first"))
    assert service.asked == ["first", "second"]
    assert (found["first"].ok, found["second"].ok) == (False, True)


def test_what_lacks_a_value_is_not_sent_and_fails(progress: Progress) -> None:
    service = Service(make=500)
    use, deeper = check("use", path="/{id}", capture={"b": "json:id"}), check("deep", path="/{b}")
    found = sent(service, progress, deeper, use, check("make", capture={"id": "json:id"}))
    assert service.asked == ["make"]
    assert found["use"].detail == "not sent: {id} was not captured"
    assert not found["use"].ok
    assert not found["deep"].ok


def test_what_waits_for_a_skipped_one_is_skipped(progress: Progress) -> None:
    service = Service(make=429)
    make = check("make", capture={"id": "json:id"}, skip_status=[429])
    found = sent(service, progress, make, check("use", path="/{id}"))
    assert [each.skipped for each in found.values()] == [True, True]


def test_cleanup_is_last_also_after_a_failure(progress: Progress) -> None:
    service = Service(use=500)
    forget = check("forget", path="/forget/{id}", cleanup=True)
    make = check("make", capture={"id": "json:id"})
    found = sent(service, progress, forget, make, check("use", path="/use/{id}"), check("other"))
    assert service.asked[-1] == "forget"
    assert found["forget"].ok


def test_there_is_nothing_to_clean_up_where_nothing_was_made(progress: Progress) -> None:
    service = Service(make=500)
    forget = check("forget", path="/forget/{id}", cleanup=True)
    found = sent(service, progress, forget, check("make", capture={"id": "json:id"}))
    assert service.asked == ["make"]
    assert (found["forget"].ok, found["forget"].skipped) == (True, True)


def test_repetitions_are_numbered_and_no_more_than_wanted_go_at_once(progress: Progress) -> None:
    service = Service()
    found = sent(service, progress, check("c", repeat=12, parallel=3, json={"n": "{n}"}))
    assert found["c"].ok
    assert Counter(service.bodies) == Counter(b'{"n": %d}' % n for n in range(1, 13))
    assert service.most <= 3


def test_a_failure_is_sent_again_as_often_as_wanted(progress: Progress) -> None:
    service = Service(c=[500, 500, 200], d=500)
    found = sent(
        service,
        progress,
        check("c", retries=5, retry_delay="1ms"),
        check("d", retries=2, retry_delay="1ms"),
    )
    assert (found["c"].ok, found["c"].attempts) == (True, 3)
    assert (found["d"].ok, found["d"].attempts) == (False, 3)


def test_a_run_id_is_new_each_time_and_the_same_within_one(progress: Progress) -> None:
    service = Service()
    checks = [check(name, json="{run}") for name in ("a", "b")]
    sent(service, progress, *checks)
    sent(service, progress, *checks)
    assert service.bodies[0] == service.bodies[1] != service.bodies[2] == service.bodies[3]


def test_a_mistake_of_ours_is_a_failure_and_no_hang(progress: Progress) -> None:
    def broken(_request: Request, _timeout_s: float) -> Response:
        raise ZeroDivisionError("oops")

    found = run([check("a"), check("b", repeat=5)], "http://a", progress, broken)
    assert [each.ok for each in found] == [False, False]
    assert "ZeroDivisionError" in found[0].detail


def test_each_check_is_a_step(progress: Progress) -> None:
    sent(Service(bad=500), progress, check("good"), check("bad"), check("odd", critical=False))
    assert {step.name: step.ok for step in progress.steps} == {
        "smoke: good": True,
        "smoke: bad": False,
        "smoke: odd": True,
    }


def test_more_checks_than_are_sent_at_once(progress: Progress) -> None:
    service = Service()
    found = sent(service, progress, *(check(f"c{n}") for n in range(100)))
    assert sum(each.ok for each in found.values()) == 100
    assert service.most <= 32


def test_to_check_nothing_is_an_error_and_no_success(progress: Progress) -> None:
    with pytest.raises(ConfigurationError, match="no smoke checks"):
        run([], "http://a", progress, Service())
