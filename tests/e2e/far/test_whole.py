"""A machine that shares nothing with this one: no network, no /tmp, an engine that has nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.far.conftest import deployed, over_a_wire, serves
from tests.e2e.rolling.conftest import IMAGE, Shop
from tests.e2e.rolling.test_tls import certificate
from tests.machine import Machine
from tests.remotes import serve_ssh

MOST_SESSIONS = 4  # the lock, the engine, a shell for questions, and one where two ask at once
MOST_WAYS = 90  # 55 where the proxy loads its configuration at once; it is asked until it has

SECURELY = """
import ssl, sys, urllib.request as u
print(u.urlopen(sys.argv[1], timeout=10, context=ssl._create_unverified_context()).read().decode())
"""


@pytest.fixture
def changed() -> Iterator[str]:
    """The shop's image with one small layer more; its name."""
    name = f"sco-{uuid.uuid4().hex[:8]}"
    recipe = f"FROM {IMAGE}\nRUN echo hello >/hello\n".encode()
    argv = ["docker", "build", "-t", f"{name}:2", "-"]
    subprocess.run(argv, check=True, capture_output=True, input=recipe)
    yield f"{name}:2"
    subprocess.run(["docker", "rmi", f"{name}:2"], capture_output=True)


def test_an_image_is_sent_and_of_the_next_one_only_what_is_new(
    machine: Machine, far: Shop, changed: str
) -> None:
    planned = far.ok("deploy", "staging", "--image", IMAGE, "--plan")
    assert "sent from here" in planned.err
    first = deployed(far, "v1")
    sent = re.search(r"([0-9.]+) MB sent to", first)
    assert sent is not None and float(sent[1]) > 50, first
    assert serves(machine, far) == "v1"
    far.set(VERSION="v2")
    second = far.run("deploy", "staging", "--image", changed, "-v")
    assert second.code == 0, second.err
    assert re.search(r"[0-9.]+ kB sent to", second.err), second.err
    assert serves(machine, far) == "v2"
    assert far.ok("deploy", "exec", "staging", "--", "cat", "/hello").out == "hello\n"
    third = deployed(far, "v3")
    assert "sent to" not in third  # the engine there has it
    _goes_back_at_once(machine, far)
    assert serves(machine, far) == "v2"


def _goes_back_at_once(machine: Machine, far: Shop) -> None:
    """Over a line where each way takes its time a rollback is as fast as it has few of them. A
    session for each question was forty of them, and three times as many ways."""
    texts = ("Accepted publickey", "Starting session")
    before = [machine.sshd.said(text) for text in texts]
    with over_a_wire(machine, far) as line:
        assert far.back().code == 0
    connections, sessions = (machine.sshd.said(t) - n for t, n in zip(texts, before, strict=True))
    assert connections == 1
    assert sessions <= MOST_SESSIONS
    assert 10 < line.ways <= MOST_WAYS


def test_a_build_of_a_commit_is_made_here(machine: Machine, far: Shop) -> None:
    """Neither the project nor its git is over there."""
    (far.root / "Dockerfile").write_text(f"FROM {IMAGE}\nARG VERSION\nENV BUILT=$VERSION\n")
    toml = far.root / "environments" / "staging.toml"
    toml.write_text(toml.read_text().replace("[service]\n", '[service]\nbuild = ".."\n', 1))
    git = ["git", "-C", str(far.root), "-c", "user.name=a", "-c", "user.email=a@b"]
    for argv in (["init", "-q"], ["add", "Dockerfile"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *argv], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    done = far.run("deploy", "staging", "--json")
    assert done.code == 0, done.err + done.out
    release = done.data["data"]["release"]
    assert (release["commit"], release["dirty"]) == (head.stdout.strip(), True)
    built = far.ok("deploy", "exec", "staging", "--", "printenv", "BUILT").out
    assert built == f"{release['version']}\n"


def test_what_looks_at_a_service_looks_over_there(machine: Machine, far: Shop) -> None:
    """On this machine nobody listens at its port."""
    far.toml(
        '[[smoke]]\nname = "it answers"\npath = "/"\n'
        '[watch]\nsustained = "1s"\ninterval = "500ms"\n'
        "[gates]\ndisk_used_at_most = 99\n"
    )
    deployed(far, "v1")
    deployed(far, "v2")
    watched = far.run("deploy", "watch", "staging", "--for", "4s", "--json")
    assert watched.code == 0, watched.out + watched.err
    assert watched.data["data"]["reason"] is None
    assert far.ok("smoke", "staging").code == 0
    status = far.ok("status", "staging", "--json").data["data"]
    assert status["health"]["level"] == "good"
    assert (status["health"]["source"], status["health"]["requests"]) == ("proxy", 2)  # smoke
    for verb in ("--on", "--off"):
        far.ok("deploy", "maintenance", "staging", verb)
    assert serves(machine, far) == "v2"
    gates = far.ok("deploy", "preflight", "staging", "--image", IMAGE, "--json").data["data"][
        "gates"
    ]
    assert {gate["name"]: gate["ok"] for gate in gates}["disk"]
    metrics = far.root / "x.prom"
    far.ok("monitor", "textfile", "staging", "--to", str(metrics))
    assert re.search(r"^stockctl_piece_ok\{.*health.*\} 1", metrics.read_text(), re.M)
    far.ok("deploy", "lock", "staging", "--message", "not now")
    assert far.run("deploy", "staging", "--image", IMAGE).code == 5
    far.ok("deploy", "unlock", "staging")
    assert far.back().code == 0
    assert serves(machine, far) == "v1"


def test_it_serves_with_tls(machine: Machine, far: Shop) -> None:
    """Its certificates lie on that machine, where whoever renews them is."""
    folder = machine.home / "certificates"
    folder.mkdir()
    certificate(folder, "first")
    toml = far.root / "environments" / "staging.toml"
    before = toml.read_text()
    keys = '[proxy]\ncertificates = "certificates"\nhttps = ["127.0.0.1:8443"]\n'
    toml.write_text(before.replace("[proxy]\n", keys))
    refused = far.run("deploy", "staging", "--image", IMAGE)
    assert refused.code == 3
    assert "proxy.certificates: 'certificates' is to be a path on" in refused.err
    toml.write_text(toml.read_text().replace('"certificates"', f'"{folder}"'))
    deployed(far, "v1")
    assert machine.run("python3", "-c", SECURELY, "https://127.0.0.1:8443/") == "v1"
    shown = ["openssl", "s_client", "-connect", "127.0.0.1:8443"]
    assert "CN = first" in machine.run(*shown, given=b"")
    certificate(folder, "second")
    far.ok("deploy", "tidy", "staging")
    assert "CN = second" in machine.run(*shown, given=b"")


def test_a_whole_deploy_by_way_of_a_jump_host(machine: Machine, far: Shop, tmp_path: Path) -> None:
    """From here nobody reaches the second sshd: it listens on that machine's own 127.0.0.1."""
    toml = far.root / "environments" / "staging.toml"
    known = far.root / "environments" / "known_hosts"
    with serve_ssh(machine.home / "second", inside=machine.inside) as second:
        (second.folder / ".docker").symlink_to(Path.home() / ".docker")
        shutil.copy(machine.sshd.folder / "authorized_keys", second.folder / "authorized_keys")
        known.write_text(known.read_text() + second.known_hosts.read_text())
        text = toml.read_text().replace(
            f'ssh = "{machine.sshd.host}:{machine.sshd.port}"',
            f'ssh = "127.0.0.1:{second.port}"\njump = "{machine.sshd.host}:{machine.sshd.port}"',
        )
        toml.write_text(text)
        deployed(far, "v1")
        deployed(far, "v2")
        assert far.back().code == 0
        assert serves(machine, far) == "v1"
        assert far.ok("deploy", "exec", "staging", "--", "printenv", "VERSION").out == "v1\n"
        status = json.loads(far.ok("deploy", "status", "staging", "--json").out)["data"]
        assert status["live"]["id"] == "r0001"
