"""An environment with gates, and the one in which things are tried before; no engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.answering import Quiet, serving
from tests.conftest import FakeClock, Recorder

from stockctl.backup.stores.directory import DirectoryStore
from stockctl.core.progress import Progress
from stockctl.core.redact import Redactor
from stockctl.deploy.preflight.gate import Candidate, Gate, Preflight
from stockctl.deploy.preflight.run import preflight
from stockctl.deploy.release import Release, ReleaseState, StepRecord
from stockctl.deploy.site import Site
from stockctl.env.model import Environment
from stockctl.system.container import Container
from stockctl.system.engine import Engine
from stockctl.system.journal_file import Journal
from stockctl.system.local import LocalHost

DAY = 86400.0


class Handler(Quiet, BaseHTTPRequestHandler):
    """Answers its server's status."""

    def do_GET(self) -> None:
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()


class Health(ThreadingHTTPServer):
    status = 200


@pytest.fixture
def health() -> Iterator[Health]:
    with serving(Health(("127.0.0.1", 0), Handler)) as server:
        yield server


class Fleet(Engine):
    """Says of containers what a test wants."""

    said: tuple[Container, ...] = ()

    def containers(self, _: str) -> tuple[Container, ...]:
        return self.said

    def beside(self, _: str) -> tuple[Container, ...]:
        return ()


Make = Callable[..., Preflight]


@pytest.fixture
def make(tmp_path: Path, clock: FakeClock, recorder: Recorder, health: Health) -> Make:
    return maker(tmp_path, clock, recorder, f"http://127.0.0.1:{health.server_port}")


def maker(folder: Path, clock: FakeClock, recorder: Recorder, url: str) -> Make:
    """Makes a Preflight of `prod` with these gates, `staging` beside it."""

    def site(name: str, gates: dict[str, Any]) -> Site:
        service = {
            "name": "shop",
            "compose": [folder / "compose.yaml"],
            "release": ["app"],
            "web": "app",
            "port": 80,
            "image": "shop",
            "url": url,
        }
        directory = folder / name
        directory.mkdir(exist_ok=True)
        document = {"name": name, "service": service, "host": {"directory": directory}}
        document |= {"backup": {"store": "/nowhere"}, "gates": gates}
        journal = Journal(LocalHost(), directory, name, clock, Redactor())
        progress = Progress(recorder, clock)
        environment = Environment.model_validate(document)
        return Site(environment, {}, LocalHost(), Fleet(), None, journal, clock, progress)

    def made(*, errors: int = 0, **gates: Any) -> Preflight:
        stage = site("staging", {}) if "staging" in gates else None
        store = DirectoryStore(folder / "store", make=True)
        candidate = Candidate("v2", "shop:v2", build=True)
        return Preflight(site("prod", gates), store, candidate, stage, LocalHost(), folder, errors)

    return made


def gate(what: Preflight, name: str, **overrides: str) -> Gate:
    return next(each for each in preflight(what, overrides) if each.name == name)


def live(site: Site, **fields: Any) -> Release:
    """Version v2 serves, since three days."""
    release = Release(
        id="r0002",
        version="v2",
        image="shop:v2",
        image_id="sha256:2",
        created_at=site.clock.now() - timedelta(days=3),
        who="me@here",
        url="",
        health="",
        state=ReleaseState.FINISHED,
        steps=(StepRecord("smoke: health", 0.1, True),),
    )
    release = replace(release, **fields)
    site.releases.put(release)
    site.releases.set_live(release.id)
    assert isinstance(site.engine, Fleet)
    made = Container("1", "shop-app-1", "app", "i", release.id, "running", None, 0, 0)
    site.engine.said = (replace(made, project="shop-staging"),)
    return release
