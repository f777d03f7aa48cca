"""The program against servers: one that does what it must, some that do what they should not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from xml.etree import ElementTree

import pytest
from tests.answering import Quiet, serving

PROGRAM = Path(sys.executable).with_name("stockctl")
CANARY = "canary-4f7e2a91c3"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    logins = 0
    users: list[str]


class Handler(Quiet, BaseHTTPRequestHandler):
    """`/users` makes one, `/users/NAME` knows it for whoever has the token; the rest misbehaves."""

    server: Server
    lock = Lock()

    def do_GET(self) -> None:
        name = self.path.strip("/").partition("/")[0]
        getattr(self, f"answer_{name}")()

    do_POST = do_DELETE = do_GET

    def reply(self, status: int, body: object = None, **headers: str) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def answer_users(self) -> None:
        name = self.path.rpartition("/")[2]
        if self.command == "POST":
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.users.append(body["name"])
            self.reply(201, {"name": body["name"], "token": f"{CANARY}-token"})
        elif self.headers["Authorization"] != f"Bearer {CANARY}-token":
            self.reply(403, {"error": f"no {self.headers['Authorization']}"})
        elif self.command == "DELETE":
            self.server.users.remove(name)
            self.reply(204, b"")
        else:
            self.reply(200 if name in self.server.users else 404, {"name": name})

    def answer_login(self) -> None:
        with self.lock:
            self.server.logins += 1
            self.reply(429 if self.server.logins > 5 else 401, {})

    def answer_hang(self) -> None:
        self.rfile.read()

    def answer_close(self) -> None:
        self.close_connection = True

    def answer_huge(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(10**9))
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b"[" * 10**6)

    def answer_loop(self) -> None:
        self.reply(302, b"", Location="/loop")

    def answer_broken(self) -> None:
        self.reply(200, b'{"data": [1, 2')


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.users = []
    with serving(made):
        yield made


GOOD = """
[[smoke]]
name = "make"
method = "POST"
path = "/users"
json = { name = "smoke-{run}" }
status = [201]
capture = { name = "json:name", token = "json:token" }
tags = ["quick"]

[[smoke]]
name = "use"
suite = "users"
path = "/users/{name}"
headers = { Authorization = "Bearer {token}" }
expect_json = { name = "smoke-{run}" }

[[smoke]]
name = "limit"
method = "POST"
path = "/login"
repeat = 10
status = [401]
any_status = 429

[[smoke]]
name = "remove"
method = "DELETE"
path = "/users/{name}"
headers = { Authorization = "Bearer {token}" }
status = [204]
cleanup = true
"""
BAD = """
[[smoke]]
name = "hang"
path = "/hang"
timeout = "500ms"
[[smoke]]
name = "close"
path = "/close"
[[smoke]]
name = "huge"
path = "/huge"
expect_json = { a = 1 }
[[smoke]]
name = "loop"
path = "/loop"
[[smoke]]
name = "broken"
path = "/broken"
expect_json = { data = { length = 2 } }
[[smoke]]
name = "forbidden"
path = "/users/x"
headers = { Authorization = "Bearer ${KEY}" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    environments = tmp_path / "environments"
    environments.mkdir()
    (environments / "local.toml").write_text(
        f'env_file = ".env.local"\n[database]\nembedded = true\n{GOOD}'
    )
    env_file = environments / ".env.local"
    env_file.touch(mode=0o600)
    env_file.write_text(f"KEY={CANARY}-key\n")
    return tmp_path


def stockctl(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), "smoke", "local", *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def at(server: Server) -> tuple[str, str]:
    return "--url", f"http://127.0.0.1:{server.server_port}"


def test_what_it_made_is_used_and_taken_away(folder: Path, server: Server) -> None:
    done = stockctl(folder, *at(server), "--json")
    assert done.returncode == 0, done.stdout
    checks = json.loads(done.stdout)["data"]["checks"]
    assert [(each["name"], each["status"]) for each in checks] == [
        ("make", 201),
        ("use", 200),
        ("limit", 429),
        ("remove", 204),
    ]
    assert {"name", "ok", "status", "duration_s", "detail"} <= checks[0].keys()
    assert (server.users, server.logins) == ([], 10)


def test_each_kind_of_misbehaviour_is_told_within_its_time(folder: Path, server: Server) -> None:
    (folder / "environments" / "local.toml").write_text(
        f'env_file = ".env.local"\n[database]\nembedded = true\n{BAD}'
    )
    began = time.monotonic()
    done = stockctl(folder, *at(server), "--junit", "out.xml", "--json")
    assert time.monotonic() - began < 30
    assert done.returncode == 9
    said = {each["name"]: each for each in json.loads(done.stdout)["data"]["checks"]}
    assert said["hang"]["expected"] == "an answer, got none: no answer within 0.5 s"
    assert "got none" in said["close"]["expected"]
    assert said["huge"]["expected"] == "a JSON body; the body is longer than 1000 kB"
    assert said["loop"]["expected"] == "status 200, got 302"
    assert "location: /loop" in said["loop"]["came"]
    assert "the body is no JSON" in said["broken"]["expected"]
    assert "Authorization: ***" in said["forbidden"]["sent"]
    text = stockctl(folder, *at(server), "-v")
    for shown in (done.stdout, done.stderr, text.stdout, text.stderr):
        assert CANARY not in shown
    junit = (folder / "out.xml").read_text()
    assert CANARY not in junit
    assert len(ElementTree.fromstring(junit).findall(".//failure")) == 6


def test_a_suite_and_a_tag_choose_and_bring_what_they_wait_for(
    folder: Path, server: Server
) -> None:
    users = stockctl(folder, *at(server), "--suite", "users")
    assert users.returncode == 0
    assert [line.split()[1] for line in users.stdout.splitlines()[:-1]] == ["make", "use", "remove"]
    assert users.stdout.splitlines()[-1] == "3 passed"
    none = stockctl(folder, *at(server), "--suite", "uers")
    assert (none.returncode, "Suites: default, users." in none.stderr) == (2, True)


def test_what_is_not_critical_fails_only_when_strict(folder: Path, server: Server) -> None:
    with (folder / "environments" / "local.toml").open("a") as file:
        file.write('[[smoke]]\nname = "loop"\npath = "/loop"\ncritical = false\n')
    done = stockctl(folder, *at(server))
    assert done.returncode == 0
    assert "! loop" in done.stdout
    assert done.stdout.splitlines()[-1] == "4 passed, 1 to look at"
    assert stockctl(folder, *at(server), "--strict").returncode == 9


def test_a_report_that_cannot_be_written_is_said(folder: Path, server: Server) -> None:
    done = stockctl(folder, *at(server), "--junit", "/nowhere/out.xml")
    assert done.returncode == 6
    assert "cannot write /nowhere/out.xml" in done.stderr


def test_checks_that_do_not_fit_together_send_nothing(folder: Path, server: Server) -> None:
    with (folder / "environments" / "local.toml").open("a") as file:
        file.write('[[smoke]]\nname = "x"\npath = "/users/{nmae}"\n')
    done = stockctl(folder, *at(server))
    assert done.returncode == 3
    assert '"x": nothing captures {nmae}. Did you mean {name}?' in done.stderr
    assert server.logins == 0
