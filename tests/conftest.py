"""Shared by all layers: a real Postgres without Docker, a clock that only moves when told."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings

from stockctl.core.progress import Event, Progress
from stockctl.system.embedded import MAJOR_VERSION as EMBEDDED
from stockctl.system.embedded import serve
from stockctl.system.postgres import Database
from tests import servers
from tests.order import dealt
from tests.remotes import S3Server, Sshd, running_s3, serve_ssh, stop_s3


@dataclass
class FakeClock:
    """Stands still at an instant; `sleep` moves it."""

    at: datetime = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    slept_s: float = 0.0

    def now(self) -> datetime:
        return self.at + timedelta(seconds=self.slept_s)

    def monotonic(self) -> float:
        return self.slept_s

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds


@dataclass
class Recorder:
    """A Reporter that remembers what it was told."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def progress(recorder: Recorder, clock: FakeClock) -> Progress:
    return Progress(recorder, clock)


_KEEPERS: list[subprocess.Popen[bytes]] = []
# How long an example takes is no claim of ours, and the machine may have other work.
settings.register_profile("stockctl", deadline=None)
settings.load_profile("stockctl")


def pytest_configure(config: pytest.Config) -> None:
    """One folder for the server of a run. Not below pytest's own, which every run of the same
    user locks again: as root the server runs as somebody else."""
    if not hasattr(config, "workerinput"):
        folder = os.environ[servers.FOLDER] = tempfile.mkdtemp(prefix="stockctl-tests-")
        _KEEPERS.append(servers.keeper(Path(folder)))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(servers.FOLDER))
        servers.stop_all(folder)
        stop_s3(folder / "s3")
        shutil.rmtree(folder, ignore_errors=True)
        _KEEPERS.pop().communicate()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After -m and -k have chosen; each worker collects the same."""
    if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
        items[:] = dealt(items, workers)


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    """An embedded Postgres, one for all the workers of a run; its database is for nobody."""
    with serve(Path(os.environ[servers.FOLDER]) / "postgres") as database:
        yield database


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> Database:
    """The server of the test's database: the embedded one, or each of `on_each_postgres`."""
    version = getattr(request, "param", EMBEDDED)
    if version == EMBEDDED:
        embedded: Database = request.getfixturevalue("server")
        return embedded
    return servers.running(version, Path(os.environ[servers.FOLDER]))


@pytest.fixture
def database(postgres: Database) -> Iterator[Database]:
    """An empty database of the test's own."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    with postgres.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.to(name)
    with postgres.connect() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """OpenSSH's server on a free port, with keys made for this run."""
    with serve_ssh(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> S3Server:
    """SeaweedFS on free ports, one for all the workers of a run, with a bucket `backups`."""
    return running_s3(Path(os.environ[servers.FOLDER]) / "s3")
