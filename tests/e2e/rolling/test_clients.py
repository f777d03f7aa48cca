"""Behind the proxy the service still knows its clients apart, and nobody can pass for another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import StagingProject
from tests.e2e.rolling.conftest import IMAGE, Shop, take_away

ATTEMPTS = """
import sys, urllib.error, urllib.request
for number in range(int(sys.argv[1])):
    claimed = f"192.0.2.{number}"
    headers = {"Content-Type": "application/json", "X-Forwarded-For": claimed,
               "Forwarded": f"for={claimed}", "X-Real-IP": claimed}
    body = b'{"email": "nobody@stockctl.example", "password": "wrong"}'
    url = "http://stockctl-proxy:8080/api/auth/login"
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


@pytest.fixture
def behind_the_proxy(project: StagingProject) -> Iterator[StagingProject]:
    base = project.root / "environments" / "base.toml"
    text = base.read_text().replace('= "recreate"\n', '= "rolling"\n')
    base.write_text(text + '\n[proxy]\nimage = "stockctl-testbed/haproxy:2.6"\n')
    file = project.root / "environments" / "staging.toml"
    file.write_text("smoke = []\n" + file.read_text())
    yield project
    take_away(Shop(project.root, project.name, project.port))


def test_one_client_is_locked_out_and_another_is_not(behind_the_proxy: StagingProject) -> None:
    project = behind_the_proxy
    done = project.deploy("v1")
    assert done.code == 0, done.err
    project.ok("db", "migrate", "staging", "--yes")
    network = f"{project.compose_project}_default"
    clients = [f"{project.compose_project}-client-{n}" for n in (1, 2)]
    try:
        for client in clients:  # both at once, or the second might get the address of the first
            argv = ("--network", network, "--name", client, "--entrypoint", "sleep", IMAGE, "300")
            project.docker("run", "--detach", "--rm", *argv)
        one, other = (
            project.docker("exec", client, "python3", "-c", ATTEMPTS, number).split()
            for client, number in zip(clients, ("7", "1"), strict=True)
        )
    finally:
        project.docker("rm", "--force", *clients)
    assert one == ["401"] * 5 + ["429"] * 2  # whatever address it claimed to have
    assert other == ["401"]
    counted = project.psql("SELECT DISTINCT client FROM login_failures").split()
    assert len(counted) == 2
    assert not [client for client in counted if client.startswith("192.0.2.")]
