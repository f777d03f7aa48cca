"""A project of a test's own on the real engine: its own name, ports, containers, images."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.children import measured, untraced
from tests.ports import free_port

if TYPE_CHECKING:
    from tests.e2e.shared import Shared

REPO = Path(__file__).parents[2]
STOCKCTL = Path(sys.executable).with_name("stockctl")
DEADLINE_S = 180


@dataclass(frozen=True)
class Done:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


@dataclass(frozen=True)
class StagingProject:
    """The repository's own project, copied, under another name and on free ports."""

    root: Path
    name: str
    port: int

    @property
    def compose_project(self) -> str:
        return f"{self.name}-staging"

    @property
    def directory(self) -> Path:
        return self.root / ".stockctl" / "staging"

    @property
    def env_file(self) -> Path:
        return self.root / "environments" / ".env.staging"

    def argv(self, *arguments: str) -> list[str]:
        return [str(STOCKCTL), "--root", str(self.root), *arguments]

    def run(self, *arguments: str, env: dict[str, str] | None = None, measure: int = 2) -> Done:
        done = subprocess.run(
            self.argv(*arguments),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            stdin=subprocess.DEVNULL,
            env={**measured(arguments, measure), **(env or {})},
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str) -> Done:
        done = self.run(*arguments, measure=1)
        assert done.code == 0, done.err
        return done

    def deploy(self, tag: str, *more: str) -> Done:
        return self.run("deploy", "staging", "--tag", tag, *more)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=untraced(),
        )

    def until(self, process: subprocess.Popen[str], text: str) -> None:
        """Reads its progress until `text` shows up."""
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if text in line:
                return
        raise AssertionError(f"{text!r} never came:\n{seen}")

    def interrupt_at(self, text: str, *arguments: str, number: int = signal.SIGINT) -> Done:
        """Runs it and sends a signal as soon as its progress shows `text`."""
        process = self.start(*arguments)
        self.until(process, text)
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE_S)
        return Done(process.returncode, out, err)

    def set(self, **values: str) -> None:
        """Changes lines of the env file, or adds them."""
        lines = self.env_file.read_text().splitlines()
        kept = [line for line in lines if line.partition("=")[0] not in values]
        self.env_file.write_text(
            "\n".join([*kept, *(f"{k}={v}" for k, v in values.items())]) + "\n"
        )

    def toml(self, text: str) -> None:
        """Adds to staging.toml."""
        file = self.root / "environments" / "staging.toml"
        file.write_text(file.read_text() + text)

    def commit(self, text: str) -> Path:
        """All of the project in git, as far as git is concerned: a file that holds the text."""
        file = self.root / "marker"
        file.write_text(text)
        git = ["git", "-C", str(self.root), "-c", "user.name=a", "-c", "user.email=a@b"]
        (self.root / ".gitignore").write_text("*\n")
        for argv in (["init", "-q"], ["add", "-f", "marker"], ["commit", "-qm", text]):
            subprocess.run([*git, *argv], check=True)
        return file

    def health(self) -> dict[str, Any] | None:
        """What the service says of itself; None where nothing answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/health", timeout=5
            ) as answer:
                document: dict[str, Any] = json.load(answer)
                return document
        except (OSError, urllib.error.URLError):
            return None

    def version(self) -> str | None:
        """The version that serves."""
        said = self.health()
        return said["version"] if said else None

    def psql(self, sql: str) -> str:
        return self.docker(
            "compose", "-p", self.compose_project, "exec", "-T", "postgres",
            "psql", "-X", "-U", "stockmind", "stockmind", "-Atc", sql,
        )  # fmt: skip

    def docker(self, *arguments: str) -> str:
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def live(self) -> str:
        release: str = self.ok("deploy", "status", "staging", "--json").data["data"]["live"]["id"]
        return release


def eventually(question: Any, *, within_s: float = 20) -> Any:
    """Asks until the answer is true."""
    deadline = time.monotonic() + within_s
    while not (answer := question()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)
    return answer


def _fill_in(example: str, port: int, postgres_port: int) -> str:
    values = {
        "PORT": str(port),
        "POSTGRES_PORT": str(postgres_port),
        "POSTGRES_IMAGE": "stockctl-testbed/postgres:15",
        **{
            name: secrets.token_hex(32)
            for name in ("SESSION_SECRET", "JWT_SECRET", "POSTGRES_PASSWORD")
        },
    }
    kept = [line for line in example.splitlines() if line.partition("=")[0] not in values]
    # the password first: DATABASE_URL refers to it
    return "\n".join([*(f"{k}={v}" for k, v in values.items()), *kept]) + "\n"


def make(folder: Path, strategy: str) -> StagingProject:
    """The repository's own project under another name."""
    name = f"sct{uuid.uuid4().hex[:8]}"
    root = folder / "project"
    for each in ("environments", "migrations", "examples/stockmind-api"):
        ignored = shutil.ignore_patterns(".env.staging", ".env.prod")
        shutil.copytree(REPO / each, root / each, ignore=ignored)
    base = root / "environments" / "base.toml"
    text = base.read_text().replace('= "stockmind"\n', f'= "{name}"\n')
    text = text.replace('= "rolling"\n', f'= "{strategy}"\n')
    base.write_text(text.replace('image   = "stockmind-api"', f'image   = "{name}-api"'))
    # what a test may switch on, which the service's own compose file has no reason to know
    compose = root / "environments" / "compose.staging.yaml"
    faults = ("FAULT_UNHEALTHY", "FAULT_CRASH", "FAULT_START_DELAY_S")
    faults += ("FAULT_ERROR_PERCENT", "FAULT_LATENCY_MS", "FAULT_AFTER_S")
    faults += ("FAULT_LEAK_MB", "FAULT_CPU_PERCENT")
    switches = "".join(f"\n      {fault}: ${{{fault}:-}}" for fault in faults)
    compose.write_text(compose.read_text().rstrip() + f"\n    environment:{switches}\n")
    port = free_port()
    env_file = root / "environments" / ".env.staging"
    env_file.touch(mode=0o600)
    example = (root / "environments" / ".env.staging.example").read_text()
    env_file.write_text(_fill_in(example, port, free_port()))
    return StagingProject(root, name, port)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[StagingProject]:
    made = make(tmp_path, "recreate")  # rolling has tests of its own
    yield made
    take_away(made)


def take_away(project: StagingProject) -> None:
    """Its containers, volumes and images."""
    beside = f"label=stockctl.project={project.compose_project}"  # the releases of `rolling`
    if found := project.docker("ps", "-aq", "--filter", beside):
        project.docker("rm", "-f", *found.split())
    command = ["docker", "compose", "-p", project.compose_project, "down", "--volumes"]
    subprocess.run([*command, "-t", "1"], capture_output=True, timeout=DEADLINE_S, check=False)
    references = (f"{project.name}-api", f"stockctl-kept/{project.compose_project}")
    for reference in references:
        found = project.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", reference)
        if found:
            command = ["docker", "image", "rm", *found.split()]
            subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=False)


def begin(project: StagingProject) -> None:
    """v1 serves."""
    project.toml('\n[deploy]\nhealth_timeout = "40s"\n')
    done = project.deploy("v1")
    assert done.code == 0, done.err


@pytest.fixture
def deployed(project: StagingProject) -> StagingProject:
    """v1 serves, for this test alone."""
    begin(project)
    return project


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One project for many tests of a file."""
    from tests.e2e.shared import Shared

    made = Shared(lambda: tmp_path_factory.mktemp("shared"))
    yield made
    made.close()


def still_serves(project: StagingProject, version: str = "v1") -> None:
    assert project.version() == version
    assert project.ok("deploy", "status", "staging", "--json").data["data"]["locked_by"] is None
