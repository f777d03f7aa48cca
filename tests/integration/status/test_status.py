"""The program in good and bad nights: a database, a service, a store that are there or not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.answering import Quiet, serving
from tests.children import untraced

from stockctl.system.postgres import Database

PROGRAM = str(Path(sys.executable).with_name("stockctl"))
METRICS = b"""
http_requests_total{route="/a",status="200"} 97
http_requests_total{route="/a",status="500"} 3
http_request_duration_seconds_bucket{route="/a",le="0.1"} 100
http_request_duration_seconds_bucket{route="/a",le="+Inf"} 100
"""


class Handler(Quiet, BaseHTTPRequestHandler):
    """Well; its metrics are not so good."""

    def do_GET(self) -> None:
        body = METRICS if self.path == "/metrics" else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def url() -> Iterator[str]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def folder(tmp_path: Path, database: Database, url: str) -> Path:
    environments, migrations = tmp_path / "environments", tmp_path / "migrations"
    environments.mkdir()
    migrations.mkdir()
    (environments / "compose.yaml").write_text("services: {app: {image: shop}}\n")
    (migrations / "0001_one.sql").write_text("-- phase: expand\nCREATE TABLE one (id int);\n")
    (migrations / "0001_one.rollback.sql").write_text("DROP TABLE one;\n")
    write(tmp_path, url, database.dsn.url().reveal())
    live(tmp_path)
    return tmp_path


def write(root: Path, url: str, database: str, more: str = "") -> None:
    (root / "environments" / "prod.toml").write_text(
        f"""
[service]
name = "shop"
compose = ["compose.yaml"]
release = ["app"]
web = "app"
port = 80
image = "shop"
url = "{url}"
metrics = "/metrics"
[database]
url = "{database}"
migrations = "../migrations"
{more}
"""
    )


def live(root: Path) -> None:
    """A release that serves, as a deploy records it."""
    folder = root / ".stockctl" / "prod" / "releases" / "r0001"
    folder.mkdir(parents=True)
    record = {
        "id": "r0001",
        "version": "v1",
        "image": "shop:v1",
        "image_id": "sha256:0",
        "created_at": "2026-11-22T03:00:00Z",
        "who": "me@here",
        "url": "",
        "health": "",
        "state": "finished",
        "migrations": [],
        "steps": [],
    }
    (folder / "release.json").write_text(json.dumps(record))
    (root / ".stockctl" / "prod" / "live.json").write_text('{"release": "r0001"}')


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STOCKCTL")}
    return {**kept, "NO_COLOR": "1", "DOCKER_HOST": "unix:///nowhere/docker.sock"}


def status(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "status", "prod", *arguments],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def data(root: Path, *arguments: str) -> dict[str, Any]:
    done = status(root, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["data"]
    return found


def test_each_piece_tells_what_it_can(folder: Path) -> None:
    found = data(folder)
    assert set(found) >= {"release", "health", "database", "backups", "host", "advice"}
    assert found["release"]["id"] == "r0001"
    assert "engine does not answer" in found["release"]["error"]
    assert (found["health"]["ok"], found["health"]["requests"]) == (True, 100)
    assert found["health"]["error_rate"] == 0.03
    assert found["database"]["pending"] == ["0001_one"]
    assert found["database"]["max_connections"] > 10
    commands = [each["command"] for each in found["advice"]]
    assert commands[-2:] == ["stockctl smoke prod", "stockctl db migrate prod --plan"]
    assert not found["well"]
    assert status(folder, "--exit-code").returncode == 9


def test_metrics_under_other_names_are_told_of(folder: Path) -> None:
    file = folder / "environments" / "prod.toml"
    named = 'metrics = "/metrics"\nduration_metric = "api_seconds"\n'
    file.write_text(file.read_text().replace('metrics = "/metrics"\n', named))
    found = data(folder)["health"]
    assert (found["ok"], "requests" in found) == (True, False)
    assert "/metrics has no histogram api_seconds; it has: none" in status(folder).stdout


def test_what_restores_left_is_told_and_can_be_dropped(folder: Path, database: Database) -> None:
    live = database.dsn.database
    name = f"{live}_before_20260101t000000z"
    mark = json.dumps({"stockctl": "kept", "live": live, "backup": "b"})
    with database.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        connection.execute(f"COMMENT ON DATABASE {name} IS '{mark}'".encode())
    found = data(folder)
    (left,) = found["database"]["left_by_restores"]
    assert (left["name"], left["kind"], left["made_at"]) == (name, "kept", "2026-01-01T00:00:00Z")
    assert left["size_bytes"] > 1_000_000
    tidy = "stockctl backup tidy prod --plan"
    (advice,) = (each for each in found["advice"] if each["command"] == tidy)
    assert "since" in advice["why"]
    assert f"{name}: replaced by a restore, " in status(folder).stdout

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [PROGRAM, "backup", "tidy", "prod", *arguments],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    planned = run("--plan")
    assert planned[0] == 0
    assert "backup undo can bring nothing back then" in planned[1]
    assert run()[0] == 4
    assert run("--older-than", "30000d", "--yes")[0] == 0
    assert len(data(folder)["database"]["left_by_restores"]) == 1
    assert run("--older-than", "soon")[0] == 2
    dropped = run("--yes", "--json")
    assert dropped[0] == 0, dropped[1]
    assert json.loads(dropped[1].partition("\n")[0] or dropped[1])["data"]["removed"] == [name]
    assert data(folder)["database"]["left_by_restores"] == []
    assert "backup tidy" in status(folder).stdout  # among the last things


def test_the_screen_is_lines_that_a_person_reads(folder: Path) -> None:
    lines = status(folder).stdout.splitlines()
    assert lines[0].startswith("shop · prod")
    marks = {line.split()[1]: line[0] for line in lines[2:] if line[:1] in "✓!✗?" and line[1:]}
    assert marks["live"] == "✓"
    assert marks["health"] == "!"
    assert marks["containers"] == "?"
    assert marks["lock"] == "✓"
    assert "→ stockctl backup create prod" in lines


def test_a_database_that_is_down_holds_up_nothing(folder: Path, url: str) -> None:
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        write(folder, url, f"postgresql://shop:hunter2hunter2@127.0.0.1:{port}/shop")
        done = status(folder, "--json")
    found = json.loads(done.stdout)["data"]
    assert found["health"]["ok"]
    assert "cannot connect" in found["database"]["error"]
    assert "hunter2hunter2" not in done.stdout + done.stderr


def test_a_backup_that_became_empty_is_no_silent_one(folder: Path, database: Database) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, "backup", *arguments],
            cwd=folder,
            env={**environment(), "PATH": f"{database.tools.folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    with database.connect() as connection:
        connection.execute("CREATE TABLE item AS SELECT n FROM generate_series(1, 7) n")
        full = json.loads(run("create", "prod", "--json").stdout)["data"]
        assert full["warnings"] == []
        connection.execute("DELETE FROM item")
    empty = json.loads(run("create", "prod", "--json").stdout)["data"]
    assert f"{full['backup']['id']} of " in empty["warnings"][0]
    quiet = run("create", "prod", "-q")
    assert quiet.returncode == 0
    assert "holds no rows" in quiet.stderr  # so that cron sends it
    found = data(folder)
    assert (found["backups"]["empty"], found["backups"]["level"]) == (True, "bad")
    look = f"stockctl backup restore prod --backup {full['backup']['id']} --plan"
    assert look in [each["command"] for each in found["advice"]]
    pruned = json.loads(run("prune", "prod", "--plan", "--json").stdout)["data"]
    (kept,) = (each for each in pruned["keep"] if each["id"] == full["backup"]["id"])
    assert "the newest of those with rows" in kept["reason"]


def test_a_store_that_is_gone(folder: Path, url: str, database: Database) -> None:
    write(folder, url, database.dsn.url().reveal(), '[backup]\nstore = "/nowhere/backups"\n')
    found = data(folder)
    assert "/nowhere/backups" in found["backups"]["error"]
    assert found["health"]["ok"]


_READ_ONLY = """
mount --bind .stockctl .stockctl && mount -o remount,bind,ro .stockctl && exec "$@"
"""


def read_only(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program where the environment's folder is on a disk that is mounted read-only."""
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", _READ_ONLY, "sh", PROGRAM, *arguments],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("there", [True, False], ids=["there", "to be made"])
def test_a_folder_that_cannot_be_written_hides_nothing(folder: Path, *, there: bool) -> None:
    if not there:
        shutil.rmtree(folder / ".stockctl" / "prod")
    done = read_only(folder, "status", "prod", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["data"]
    assert found["release"]["id"] == ("r0001" if there else None)
    assert found["health"]["ok"]
    assert found["database"]["pending"] == ["0001_one"]
    assert (found["host"]["level"], found["host"]["writable"]) == ("bad", False)
    assert "cannot be written" in read_only(folder, "status", "prod").stdout
    assert "stockctl doctor prod" in [each["command"] for each in found["advice"]]

    examined = read_only(folder, "doctor", "prod")
    assert examined.returncode == 6
    assert "host.directory" in examined.stdout
    assert "✓ migrations" in examined.stdout


def test_a_folder_that_is_not_there_is_named_and_not_made(folder: Path) -> None:
    shutil.rmtree(folder / ".stockctl")
    said = status(folder).stdout
    where = folder.resolve() / ".stockctl" / "prod"
    assert f"nothing was deployed yet: there is no {where}" in said
    assert "used" in next(line for line in said.splitlines() if "disk" in line)
    assert not where.joinpath("releases").exists()


SILENT_STORE = """
[backup]
store = "s3://backups/shop"
endpoint = "http://127.0.0.1:{port}"
"""


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes every connection and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)  # the kernel connects
        yield listening.getsockname()[1]


@pytest.mark.parametrize("who", ["engine", "database", "store", "service", "everybody"])
def test_whoever_is_silent_is_left_behind_also_at_the_end(
    folder: Path, url: str, database: Database, silent: int, who: str
) -> None:
    """Their own clients wait for a minute: what is asked is on a thread that ends with us."""

    def of(name: str, usual: str, hanging: str) -> str:
        return hanging if who in (name, "everybody") else usual

    write(
        folder,
        of("service", url, f"http://127.0.0.1:{silent}"),
        of("database", database.dsn.url().reveal(), f"postgresql://a:b@127.0.0.1:{silent}/shop"),
        of("store", "", SILENT_STORE.format(port=silent)),
    )
    engine = of("engine", "unix:///nowhere/docker.sock", f"tcp://127.0.0.1:{silent}")
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b" * 20}
    began = time.monotonic()
    done = subprocess.run(
        [PROGRAM, "status", "prod", "--json"],
        cwd=folder,
        env={**environment(), "DOCKER_HOST": engine, **keys},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert took < 20
    found = json.loads(done.stdout)["data"]
    late = {
        "engine": ("release",),
        "database": ("database",),
        "store": ("backups",),
        "service": ("health",),
        "everybody": ("release", "database", "backups", "health"),
    }[who]
    for piece in late:
        assert "no answer within" in found[piece]["error"], piece
    assert found["release"]["id"] == "r0001"
    assert "free_bytes" in found["host"]


def test_what_is_wrong_in_the_file_hides_nothing_else(folder: Path, url: str) -> None:
    write(folder, url, "${NOWHERE}")
    done = status(folder)
    assert done.returncode == 0
    assert "${NOWHERE} is not set" in done.stderr
    assert "✓ live" in done.stdout


QUICK = """
import stockctl.cli.status
from stockctl.cli.app import main
stockctl.cli.status.REFRESH_S = 0.01
main()
"""


@pytest.mark.parametrize("engine", ["unix:///nowhere/docker.sock", "unix:///var/run/docker.sock"])
def test_many_looks_keep_no_more_open_than_one(folder: Path, engine: str) -> None:
    """Whether the engine is there or not: without one each look left two sockets behind."""
    counts = []
    with subprocess.Popen(
        [sys.executable, "-c", QUICK, "status", "prod", "--watch"],
        cwd=folder,
        env={**environment(), "DOCKER_HOST": engine},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("shop · prod"):
                counts.append(len(list(Path(f"/proc/{process.pid}/fd").iterdir())))
            if len(counts) == 15:
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert max(counts[2:]) <= max(counts[:2]) + 5, counts


def test_watching_ends_with_ctrl_c_and_is_no_failure(folder: Path) -> None:
    with subprocess.Popen(
        [PROGRAM, "status", "prod", "--watch"],
        cwd=folder,
        env=untraced(environment()),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        titles = 0
        for line in process.stdout:
            titles += line.startswith("shop · prod")
            if titles == 2:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert "Traceback" not in rest
    assert status(folder, "--watch", "--json").returncode == 2
