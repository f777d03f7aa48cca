"""A project of a test's own for the strategy `rolling`: the shop, which starts at once."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import DEADLINE_S, Done, StagingProject
from tests.engines import SecondEngine
from tests.load import Load
from tests.ports import free_port

IMAGE = "stockctl-testbed/shop:1"
FAULTS = (
    "VERSION", "START_DELAY_S", "ERRORS", "LATENCY_MS", "IGNORE_SIGTERM", "CRASH", "UNHEALTHY",
    "LEAK_MB",
)  # fmt: skip

TOML = """\
env_file = ".env.staging"

[service]
name    = "{name}"
compose = ["compose.yaml"]
release = ["shop"]
web     = "shop"
port    = 8000
image   = "stockctl-testbed/shop"
url     = "http://127.0.0.1:${{PORT}}"

[proxy]
image = "stockctl-testbed/haproxy:2.6"

[deploy]
strategy       = "rolling"
health_timeout = "30s"
stop_timeout   = "2s"
drain_timeout  = "5s"
watch          = "500ms"
{more}
"""

COMPOSE = """\
services:
  shop:
    image: stockctl-testbed/shop
    restart: unless-stopped
    ports: ["127.0.0.1:${{PORT}}:8000"]
    environment:
{faults}
"""


@dataclass(frozen=True)
class Shop(StagingProject):
    """The shop's project. A version is a value of its env file, so that nothing is built."""

    def to(self, version: str, **faults: str) -> Done:
        """Deploys the next version."""
        self.set(**{**dict.fromkeys(FAULTS, ""), "VERSION": version, **faults})
        return self.run("deploy", "staging", "--image", IMAGE, "--json")

    def start_to(self, version: str, **faults: str) -> subprocess.Popen[str]:
        """Begins to deploy it, and says on the way what it does."""
        self.set(**{**dict.fromkeys(FAULTS, ""), "VERSION": version, **faults})
        return self.start("deploy", "staging", "--image", IMAGE)

    def deployed(self, version: str, **faults: str) -> Done:
        """The same, and it must work."""
        done = self.to(version, **faults)
        assert done.code == 0, done.err + done.out
        assert self.version() == version
        return done

    def back(self, *more: str) -> Done:
        return self.run("deploy", "rollback", "staging", "--yes", "--json", *more)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def load(self, **how: float) -> Load:
        return Load(self.url, slow_s=how.get("slow_s", 1.0))

    def load_stream(self, seconds: float) -> Future[str]:
        """A stream that is open for so long; what came of it, whole or not."""

        def read() -> str:
            with urllib.request.urlopen(f"{self.url}/stream?s={seconds}", timeout=30) as answer:
                text: str = answer.read().decode()
                return text

        pool = ThreadPoolExecutor(1)
        try:
            return pool.submit(read)
        finally:
            pool.shutdown(wait=False)

    def deploy_settings(self, **values: object) -> None:
        """Sets keys of [deploy]: lists and numbers as they are, strings that are durations."""
        file = self.root / "environments" / "staging.toml"
        head, _, table = file.read_text().partition("[deploy]\n")
        kept = [line for line in table.splitlines() if line.split(" ")[0] not in values]
        for key, value in values.items():
            text = str(value)
            quoted = f'"{text}"' if isinstance(value, str) and text[:1] != '"' else text
            kept.append(f"{key} = {quoted}")
        file.write_text(f"{head}[deploy]\n" + "\n".join(kept) + "\n")

    def version(self) -> str | None:
        try:
            return self.fetch(self.url).strip()
        except (OSError, urllib.error.URLError):
            return None

    @staticmethod
    def fetch(url: str, timeout_s: float = 5) -> str:
        """What is answered there. Raises OSError where nothing is, or an error."""
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            text: str = answer.read().decode()
            return text

    def containers(self) -> dict[str, str]:
        """Everything that belongs to the project, with its state."""
        lines = [
            self.docker(
                "ps", "-a", "--format", "{{.Names}} {{.State}}", "--filter", f"label={label}"
            )
            for label in (
                f"com.docker.compose.project={self.compose_project}",
                f"stockctl.project={self.compose_project}",
            )
        ]
        found = dict(line.split(" ") for text in lines for line in text.splitlines())
        return {name.removeprefix(f"{self.compose_project}-"): found[name] for name in found}

    def recorded(self) -> str:
        """The version that should serve, by the records."""
        live = json.loads((self.directory / "live.json").read_text())["release"]
        kept = json.loads((self.directory / "releases" / live / "compose.json").read_text())
        version: str = kept["services"]["shop"]["environment"]["VERSION"]
        return version

    def history(self) -> list[dict[str, Any]]:
        """Every recorded release."""
        records = (self.directory / "releases").glob("*/release.json")
        return [json.loads(record.read_text()) for record in records]

    def error(self, done: Done) -> str:
        """What `--json` says went wrong, all of it."""
        error = json.loads(done.out)["error"]
        return "\n".join((error["message"], error["details"], error["hint"]))


def make(root: Path, more: str = "") -> Shop:
    """A project in this folder, with a name and a port of its own."""
    name = f"sct{uuid.uuid4().hex[:8]}"
    folder = root / "environments"
    folder.mkdir(parents=True)
    folder.joinpath("staging.toml").write_text(TOML.format(name=name, more=more))
    faults = "\n".join(f"      {fault}: ${{{fault}:-}}" for fault in FAULTS)
    folder.joinpath("compose.yaml").write_text(COMPOSE.format(faults=faults))
    port = free_port()
    env_file = folder / ".env.staging"
    env_file.touch(mode=0o600)
    env_file.write_text(f"PORT={port}\n" + "".join(f"{fault}=\n" for fault in FAULTS))
    return Shop(root, name, port)


def take_away(shop: Shop) -> None:
    """Every container and network of the project, by name."""
    names = shop.containers()
    ids = [f"{shop.compose_project}-{name}" for name in names]
    if ids:
        subprocess.run(["docker", "rm", "-f", *ids], capture_output=True, timeout=DEADLINE_S)
    networks = shop.docker("network", "ls", "-q", "--filter", f"name={shop.compose_project}")
    if networks:
        subprocess.run(["docker", "network", "rm", *networks.split()], capture_output=True)
    kept = f"stockctl-kept/{shop.compose_project}"
    images = shop.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", kept)
    if images:
        subprocess.run(["docker", "image", "rm", *images.split()], capture_output=True)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = make(tmp_path / "project")
    yield made
    take_away(made)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondEngine]:
    """One that a test may stop and kill."""
    made = SecondEngine(tmp_path_factory.mktemp("engine"))
    try:
        made.start()
        made.load(IMAGE, "stockctl-testbed/haproxy:2.6")
        yield made
    finally:
        made.close()
