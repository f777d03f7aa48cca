"""A web service that starts at once and needs no database, on an image that is there already."""

from __future__ import annotations

import json
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.children import measured, untraced
from tests.e2e.conftest import DEADLINE_S, STOCKCTL, Done
from tests.ports import free_port

IMAGE = "stockmind-api:testbed-cache"  # Debian with python3

SERVER = """\
import http.server, os, sys, time
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ.get("GREETING", "hello").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, form, *values):
        print("asked", self.path, flush=True)
print("up", os.environ.get("GREETING"), flush=True)
if os.environ.get("GREETING") == "broken":
    sys.exit("it is broken")
time.sleep(float(os.environ.get("START_DELAY_S") or 0))
http.server.ThreadingHTTPServer(("", 8000), Answer).serve_forever()
"""

COMPOSE = """\
services:
  web:
    image: placeholder
    init: true
    entrypoint: [python3, -c]
    command: [{server}]
    environment:
      GREETING: ${{GREETING:-hello}}
      START_DELAY_S: ${{START_DELAY_S:-0}}
    ports: ["127.0.0.1:${{PORT:-8000}}:8000"]
    healthcheck: {{disable: true}}
    stop_grace_period: 2s
"""

TOML = """\
env_file = ".env"

[service]
name    = "{name}"
compose = ["compose.yaml"]
release = ["web"]
web     = "web"
port    = 8000
image   = "{name}-web"
url     = "http://127.0.0.1:${{PORT}}"

[deploy]
strategy       = "recreate"
health_timeout = "20s"
stop_timeout   = "2s"
"""


@dataclass(frozen=True)
class Small:
    """A project with one environment, `site`."""

    root: Path
    name: str
    port: int

    @property
    def compose_project(self) -> str:
        return f"{self.name}-site"

    @property
    def directory(self) -> Path:
        return self.root / ".stockctl" / "site"

    @property
    def file(self) -> Path:
        return self.root / "environments" / "site.toml"

    def toml(self, text: str) -> None:
        """Adds to site.toml; a table that is there already is added to."""
        head, _, rest = text.strip().partition("\n")
        before = self.file.read_text()
        if head.startswith("[") and f"{head}\n" in before:
            self.file.write_text(before.replace(f"{head}\n", f"{head}\n{rest}\n"))
        else:
            self.file.write_text(f"{before}\n{text.strip()}\n")

    def set(self, **values: str) -> None:
        """Replaces the env file."""
        lines = {"PORT": str(self.port), **values}.items()
        file = self.root / "environments" / ".env"
        file.touch(mode=0o600)
        file.write_text("".join(f"{key}={value}\n" for key, value in lines))

    def argv(self, *arguments: str) -> list[str]:
        return [str(STOCKCTL), "--root", str(self.root), *arguments]

    def run(self, *arguments: str, given: str | None = None, env: Any = None) -> Done:
        done = subprocess.run(
            self.argv(*arguments),
            input=given or "",
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            env={**measured(arguments, 1), **(env or {})},
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, **more: Any) -> Done:
        done = self.run(*arguments, **more)
        assert done.code == 0, done.err
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.argv(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
            env=untraced(),
        )

    def deploy(self, *more: str) -> Done:
        return self.run("deploy", "site", "--image", IMAGE, *more)

    def data(self, *arguments: str) -> dict[str, Any]:
        """What a verb answers a program."""
        data: dict[str, Any] = json.loads(self.ok(*arguments, "--json").out)["data"]
        return data

    def live(self) -> str | None:
        live = self.data("deploy", "status")["live"]
        return live["id"] if live else None

    def one_offs(self) -> list[str]:
        """Containers that `docker compose run` made."""
        labels = (
            f"com.docker.compose.project={self.compose_project}",
            "com.docker.compose.oneoff=True",
        )
        return _docker(
            "ps", "-aq", *(part for label in labels for part in ("-f", f"label={label}"))
        )

    def says(self) -> str:
        """What the service answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
            return str(answer.read().decode())


def make(root: Path) -> Small:
    small = Small(root, f"sco{uuid.uuid4().hex[:8]}", free_port())
    folder = root / "environments"
    folder.mkdir(parents=True)
    server = json.dumps(SERVER).replace("$", "$$")
    (folder / "compose.yaml").write_text(COMPOSE.format(server=server))
    small.file.write_text(TOML.format(name=small.name))
    small.set()
    return small


def take_away(small: Small) -> None:
    filters = ("--filter", f"name={small.name}")
    found = _docker("ps", "-aq", *filters)
    if found:
        _docker("rm", "-f", "-v", *found)
    networks = _docker("network", "ls", "-q", *filters)
    if networks:
        _docker("network", "rm", *networks)
    kept = f"stockctl-kept/{small.compose_project}"
    images = _docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", kept)
    if images:
        _docker("image", "rm", *images)


def _docker(*arguments: str) -> list[str]:
    argv = ["docker", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    return done.stdout.split()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """A project of the test's own, nothing deployed yet."""
    made = make(tmp_path / "project")
    yield made
    take_away(made)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """One that serves r0001, for all tests of a module that leave it serving."""
    made = make(tmp_path_factory.mktemp("ops") / "project")
    done = made.deploy()
    assert done.code == 0, done.err
    yield made
    take_away(made)
