"""A release that gets worse while it serves is withdrawn, and nobody is asked."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request

from tests.e2e.conftest import StagingProject


class Users:
    """Asks again and again; remembers when what came."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/projects"
        self.seen: list[tuple[float, int]] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self.stop.wait(0.02):
            try:
                with urllib.request.urlopen(self.url, timeout=5) as answer:
                    status = answer.status
            except urllib.error.HTTPError as error:
                with error:
                    status = error.code
            except OSError:
                status = 0
            self.seen.append((time.monotonic(), status))

    def __enter__(self) -> Users:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()


WATCH = """
[watch]
after_deploy = true
duration = "90s"
interval = "1s"
sustained = "3s"
requests = 10
"""


def test_a_release_that_gets_worse_is_withdrawn(project: StagingProject) -> None:
    assert project.deploy("v1").code == 0
    project.ok("deploy", "watch", "staging", "--for", "1s")
    file = project.root / "environments" / "staging.toml"
    # without smoke checks, or it would depend on the machine who sees the errors first
    file.write_text("smoke = []\n" + file.read_text() + WATCH)
    project.set(FAULT_ERROR_PERCENT="100", FAULT_AFTER_S="5")
    with Users(project.port) as users:
        done = project.deploy("v2", "--json")
    assert done.code == 9, done.err
    message = done.data["error"]["message"]
    assert message.startswith("r0002 was withdrawn, r0001 serves again: error_rate is")
    assert project.version() == "v1"
    live = project.ok("deploy", "status", "staging", "--json").data["data"]["live"]
    assert live["id"] == "r0001"
    bad = [at for at, status in users.seen if status == 500]
    good = [at for at, status in users.seen if status == 401 and at > bad[-1]]
    assert good, "the old release answers again"
    (seen,) = (project.directory / "watch").iterdir()
    kept = json.loads(seen.read_text())
    assert (kept["release"], len(kept["looks"]) > 2) == ("r0002", True)
    journal = project.ok("journal", "staging", "--json").data["data"]["entries"]
    assert journal[0]["command"] == "deploy rollback to r0001"


LIMITED = """    mem_limit: 256m
    cpus: 0.5
"""
TIGHT = """
[watch]
after_deploy = true
duration = "12s"
interval = "1s"
sustained = "3s"
cpu = 40
memory = 70
"""


def test_a_leak_and_a_busy_processor_are_seen_and_what_stays_below_is_not(
    project: StagingProject,
) -> None:
    compose = project.root / "environments" / "compose.staging.yaml"
    compose.write_text(compose.read_text() + LIMITED)
    file = project.root / "environments" / "staging.toml"
    file.write_text("smoke = []\n" + file.read_text() + TIGHT)
    below = {"FAULT_LEAK_MB": "80", "FAULT_CPU_PERCENT": "8"}
    project.set(**below)
    done = project.deploy("v1")
    assert done.code == 0, done.err
    for tag, fault, value, signal in (
        ("v2", "FAULT_LEAK_MB", "170", "memory"),
        ("v3", "FAULT_CPU_PERCENT", "100", "cpu"),
    ):
        project.set(**{**below, fault: value})
        done = project.deploy(tag, "--json")
        assert done.code == 9, done.err
        assert f"r0001 serves again: {signal} is " in done.data["error"]["message"]
        assert project.version() == "v1"
    journal = project.ok("journal", "staging", "--json").data["data"]["entries"]
    rollbacks = [each["command"] for each in journal if "rollback" in each["command"]]
    assert rollbacks == ["deploy rollback to r0001"] * 2
    assert len(list((project.directory / "watch").iterdir())) == 2
