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


def test_it_is_deployed_with_nothing_but_a_toml_file(letters: Small) -> None:
    variables = {"PORT": str(letters.port), "REDIS_IMAGE": "stockctl-testbed/redis:7"}

    def stockctl(*arguments: str) -> str:
        return letters.ok(*arguments, env=variables).out

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
    stockctl("deploy", "live", "--tag", "1.1")
    assert page("/version.txt") == "1.1\n"
    assert redis("HGET", "done", "ada") == "3 by 1.0\n"  # what is long-lived was left alone
    redis("RPUSH", "jobs", "grace")
    eventually(lambda: redis("HGET", "done", "grace") == "5 by 1.1\n")
    assert "worker 1.1 is ready" in stockctl("deploy", "logs")
    stockctl("deploy", "rollback", "--yes")
    assert page("/version.txt") == "1.0\n"
