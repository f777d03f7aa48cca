"""The engine's SDK against an engine that answers as told."""

from __future__ import annotations

import http.server
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.answering import Quiet, serving

from stockctl.core.errors import EngineUnavailable, ToolFailed
from stockctl.system.compose import RELEASE_LABEL
from stockctl.system.container import Container, Usage, processors
from stockctl.system.engine import Engine

Answer = tuple[int, Any]


class Daemon(http.server.ThreadingHTTPServer):
    daemon_threads = True
    answers: dict[str, Answer]


class Handler(Quiet, http.server.BaseHTTPRequestHandler):
    server: Daemon

    def do_GET(self) -> None:
        if self.path.endswith("/hang/json"):
            self.rfile.read()  # until the other side has left
            return
        path = self.path.partition("?")[0].removeprefix("/v1.41")
        status, body = self.server.answers.get(path, (404, {"message": f"No such image: {path}"}))
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw) + (9 if body == b"cut" else 0)))
        self.end_headers()
        self.wfile.write(raw)
        self.close_connection = True

    do_POST = do_GET
    do_DELETE = do_GET


Start = Callable[..., Engine]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """`start({path: (status, body)})` gives an Engine that is connected to such a daemon."""
    daemon = Daemon(("127.0.0.1", 0), Handler)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{daemon.server_port}")
    engine = Engine(timeout_s=1)

    def made(answers: dict[str, Answer]) -> Engine:
        version = {"Version": "20.10.24", "ApiVersion": "1.41"}
        daemon.answers = {"/version": (200, version), **answers}
        return engine

    with serving(daemon):
        yield made
        engine.close()


def container(name: str, **state: Any) -> dict[str, Any]:
    return {
        "Id": f"id-{name}",
        "Name": f"/{name}",
        "Image": "sha256:abc",
        "RestartCount": 0,
        "Config": {
            "Tty": False,
            "Labels": {"com.docker.compose.service": name, RELEASE_LABEL: "r0001"},
        },
        "State": {"Status": "running", "ExitCode": 0, **state},
    }


def listing(*containers: dict[str, Any]) -> dict[str, Answer]:
    short = [{"Id": each["Id"]} for each in containers]
    found: dict[str, Answer] = {"/containers/json": (200, short)}
    return found | {f"/containers/{c['Id']}/json": (200, c) for c in containers}


def test_the_version_is_asked(start: Start) -> None:
    assert start({}).version() == "20.10.24"


def test_containers_come_sorted_with_health_and_release(start: Start) -> None:
    healthy = container("web", Health={"Status": "healthy"})
    found = start(listing(healthy, container("db"))).containers("shop-prod")
    assert found == (
        Container("id-db", "db", "db", "sha256:abc", "r0001", "running", None, 0, 0),
        Container("id-web", "web", "web", "sha256:abc", "r0001", "running", "healthy", 0, 0),
    )


@pytest.mark.parametrize(
    ("status", "restarts", "gave_up"),
    [
        ("running", 0, False),
        ("created", 0, False),
        ("exited", 0, True),
        ("restarting", 0, True),
        ("dead", 0, True),
        ("running", 2, True),
    ],
)
def test_a_container_that_gave_up_is_known(status: str, restarts: int, gave_up: bool) -> None:
    found = Container("i", "n", "s", "sha256:a", None, status, None, 0, restarts)
    assert found.gave_up is gave_up


def test_the_last_lines_of_a_log_are_text(start: Start) -> None:
    line = b"hello\n\xff"
    frame = b"\x01\x00\x00\x00" + len(line).to_bytes(4, "big") + line
    answers = listing(container("web")) | {"/containers/id-web/logs": (200, frame)}
    assert start(answers).logs("id-web", 5) == "hello\n\ufffd"


STATS = {
    "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}, "online_cpus": 4},
    "memory_stats": {"usage": 900, "limit": 2000, "stats": {"inactive_file": 100}},
}


@pytest.mark.parametrize(
    ("limits", "processors"),
    [
        ({}, 4),
        ({"NanoCpus": 0, "CpuQuota": -1}, 4),
        ({"NanoCpus": 500_000_000}, 0.5),
        ({"NanoCpus": 8_000_000_000}, 4),
        ({"CpuQuota": 50_000}, 0.5),
        ({"CpuQuota": 50_000, "CpuPeriod": 25_000}, 2),
    ],
)
def test_what_a_container_takes_is_measured_without_the_cache(
    start: Start, limits: dict[str, int], processors: float
) -> None:
    known = {
        "/containers/c/stats": (200, STATS),
        "/containers/c/json": (200, {"HostConfig": limits}),
    }
    assert start(known).usage("c") == Usage(2.5, processors, 4, 800, 2000)


def test_containers_together_may_have_no_more_than_the_machine() -> None:
    free, half = Usage(0, 4, 4, 0, 1), Usage(0, 0.5, 4, 0, 1)
    assert [processors(each) for each in ([half, half], [free, half], [free, free])] == [1, 4, 4]


def test_what_has_ended_takes_nothing(start: Start) -> None:
    nothing = (200, {"cpu_stats": {}, "memory_stats": {}})
    engine = start(
        {"/containers/c/stats": nothing, "/containers/c/json": (200, {"HostConfig": {}})}
    )
    with pytest.raises(ToolFailed, match="it has ended"):
        engine.usage("c")


def test_an_image_that_is_not_there_has_no_id(start: Start) -> None:
    engine = start({"/images/shop:1/json": (200, {"Id": "sha256:abc", "RepoTags": []})})
    assert engine.image_id("shop:1") == "sha256:abc"
    assert engine.image_id("shop:2") is None


def test_the_name_of_an_image_in_use_stays_and_that_is_fine(start: Start) -> None:
    used = {"message": "image is being used by running container"}
    engine = start({"/images/shop:1": (409, used), "/images/shop:3": (500, {"message": "why"})})
    engine.untag("shop:1")
    engine.untag("shop:2")  # is gone already
    with pytest.raises(ToolFailed, match="why"):
        engine.untag("shop:3")


def test_an_error_of_the_engine_comes_in_its_own_words(start: Start) -> None:
    engine = start({"/containers/json": (500, {"message": "the disk is full"})})
    with pytest.raises(ToolFailed, match="cannot list containers: the disk is full") as caught:
        engine.containers("shop-prod")
    assert not isinstance(caught.value, EngineUnavailable)


@pytest.mark.parametrize("body", [b"cut", b"no JSON", b""])
def test_half_an_answer_is_an_engine_that_does_not_answer(start: Start, body: bytes) -> None:
    engine = start({"/containers/json": (200, body)})
    with pytest.raises(EngineUnavailable):
        engine.containers("shop-prod")


def test_an_engine_that_hangs_does_not_answer(start: Start) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        start({}).image_id("hang")
    assert "timed out" in caught.value.details


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:1", "nonsense://"])
def test_no_engine_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    engine = Engine()
    for ask in (engine.version, lambda: engine.containers("x"), lambda: engine.image_id("x")):
        with pytest.raises(EngineUnavailable) as caught:
            ask()
        assert "doctor" in caught.value.hint
        assert caught.value.exit_code == 6
    engine.close()
