"""A stack that knows nothing of stockctl: two released services and Redis, by a TOML file alone."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import REPO, eventually
from tests.e2e.ops.conftest import Small, take_away
from tests.ports import free_port

EXAMPLE = REPO / "examples" / "static-worker"


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[Small]:
    """The example in a folder of its own, with a name and a port of its own."""
    root, port = tmp_path / "letters", free_port()
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".stockctl"))
    name = f"scl{port}"
    file = root / "environments" / "live.toml"
    text = file.read_text().replace('"letters"', f'"{name}"')
    file.write_text(text.replace(":8080", f":{port}"))
    made = Small(root, name, port)
    yield made
    take_away(made)
    for kind, *remove in (("volume", "rm"), ("image", "rm")):
        argv = ["docker", kind, "ls", "-q", "--filter"]
        argv.append(f"name={name}" if kind == "volume" else f"reference={name}")
        found = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split()
        if found:
            subprocess.run(["docker", kind, *remove, *found], capture_output=True, check=False)


def left(letters: Small) -> list[str]:
    """What is there of the rehearsal's project."""
    wanted = f"label=com.docker.compose.project={letters.name}-live-rehearsal"
    kinds = (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q"))
    argvs = (["docker", *kind, "--filter", wanted] for kind in kinds)
    found = (subprocess.run(argv, capture_output=True, text=True, check=True) for argv in argvs)
    return [done.stdout.strip() for done in found]


def test_it_is_deployed_with_nothing_but_a_toml_file(
    letters: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", str(letters.port))
    monkeypatch.setenv("REDIS_IMAGE", "stockctl-testbed/redis:7")

    def stockctl(*arguments: str) -> str:
        return letters.ok(*arguments).out

    def page(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{letters.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def redis(*words: str) -> str:
        return stockctl("deploy", "exec", "--service", "redis", "--", "redis-cli", *words)

    stockctl("env", "validate", "--strict")
    stockctl("deploy", "live", "--tag", "1.0")
    assert page("/version.txt") == "1.0\n"
    redis("RPUSH", "jobs", "ada")
    eventually(lambda: redis("HGET", "done", "ada") == "3 by 1.0\n")
    _rehearsed_with_a_redis_of_its_own(letters)
    stockctl("deploy", "live", "--tag", "1.1")
    assert page("/version.txt") == "1.1\n"
    assert redis("HGET", "done", "ada") == "3 by 1.0\n"  # what is long-lived was left alone
    redis("RPUSH", "jobs", "grace")
    eventually(lambda: redis("HGET", "done", "grace") == "5 by 1.1\n")
    assert "worker 1.1 is ready" in stockctl("deploy", "logs")
    stockctl("deploy", "rollback", "--yes")
    assert page("/version.txt") == "1.0\n"


def _rehearsed_with_a_redis_of_its_own(letters: Small) -> None:
    """Also after one that was killed in the middle; the live one is frozen meanwhile."""
    argv = ("deploy", "rehearse", "live", "--tag", "1.1")
    killed = letters.start(*argv)
    assert killed.stderr is not None
    seen = ""
    while "services" not in seen:
        line = killed.stderr.readline()
        assert line, seen
        seen += line
    killed.kill()
    killed.communicate()
    assert all(left(letters))  # its containers, its volume, its network
    live = f"{letters.name}-live-redis-1"
    subprocess.run(["docker", "pause", live], capture_output=True, check=True)
    try:
        found = letters.data(*argv)
    finally:
        subprocess.run(["docker", "unpause", live], capture_output=True, check=True)
    assert found["services"] == ["redis", "site", "worker"]
    assert (found["backup"], found["migrations"], found["left_out"]) == (None, [], [])
    assert [check["ok"] for check in found["smoke"]] == [True]
    assert found["forecast_s"] > 0
    assert left(letters) == ["", "", ""]
