"""`env init` by the real program, on compose files as people have them, read by Compose."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import stat
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest
from tests.integration.cli.conftest import PROGRAM, Ended, environment

DEADLINE_S = 30
PROMPTS = ("? ", "] ", ") ")
CANARY = "c4N4ryc4N4ryK7vQ2mZx9LpW3sRt5YbJ8hD6"

NODE = """
services:
  db:
    image: postgres:16-alpine
    environment:
      POSTGRES_USER: ${POSTGRES_USER:-notes}
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}
      POSTGRES_DB: ${POSTGRES_DB:-notes}
    volumes: [data:/var/lib/postgresql/data]
  api:
    build: .
    depends_on: [db]
    environment:
      NODE_ENV: ${NODE_ENV:-production}
      DATABASE_URL: ${DATABASE_URL}
      JWT_SECRET: ${JWT_SECRET:?}
      STRIPE_API_KEY: ${STRIPE_API_KEY:-}
      LOG_LEVEL: ${LOG_LEVEL:-info}
      ALLOWED_ORIGINS: ${ALLOWED_ORIGINS:-http://localhost:3000}
    ports: ["${PORT:-3000}:3000"]
    healthcheck: {test: ["CMD", "curl", "-f", "http://localhost:3000/healthz"]}
volumes: {data: }
"""
NODE_ENV_FILE = f"""
POSTGRES_PASSWORD=postgres
DATABASE_URL=postgres://notes:postgres@localhost:5432/notes?schema=public
JWT_SECRET=dev
STRIPE_API_KEY=sk_live_{CANARY}
NODE_ENV=development
LOG_LEVEL=debug
FOR_SOMETHING_ELSE=1
"""
DJANGO = """
services:
  web: &app
    build: {context: ./backend}
    command: gunicorn shop.wsgi:application --bind 0.0.0.0:8000
    environment: &env
      SECRET_KEY: ${SECRET_KEY:-insecure-django-key}
      DEBUG: ${DEBUG:-0}
      ALLOWED_HOSTS: ${ALLOWED_HOSTS:?}
      DATABASE_URL: postgres://shop:${POSTGRES_PASSWORD:?}@postgres:5432/shop
      REDIS_URL: redis://redis:6379/0
    depends_on: [postgres, redis]
  worker:
    <<: *app
    command: celery -A shop worker
  redis: {image: "redis:7-alpine"}
  postgres:
    image: postgis/postgis:16-3.4
    environment: [POSTGRES_USER=shop, POSTGRES_DB=shop, "POSTGRES_PASSWORD=${POSTGRES_PASSWORD:?}"]
    ports: ["127.0.0.1:${DB_PORT:-5432}:5432"]
  nginx:
    image: nginx:1.27
    depends_on: [web]
    ports: ["${HTTP_PORT:-80}:80", "${HTTPS_PORT:-443}:443"]
"""
HARD_CODED = """
services:
  app:
    image: ghcr.io/acme/wiki:1.2
    container_name: wiki
    ports: ["8080:80"]
    environment:
      DATABASE_URL: postgresql://wiki:${DB_PASSWORD:?}@db/wiki
  db:
    image: postgres:15
    ports: ["5433:5432"]
    environment: {POSTGRES_USER: wiki, POSTGRES_PASSWORD: "${DB_PASSWORD:?}"}
    volumes: ["./data:/var/lib/postgresql/data", "./init.sql:/docker-entrypoint-initdb.d/init.sql"]
"""
NO_DATABASE = """
services:
  site:
    image: acme/site:${TAG:-latest}
    ports:
      - {target: 8080, published: "${SITE_PORT:-8080}", host_ip: 127.0.0.1}
    environment:
      - API_TOKEN
      - PUBLIC_URL=${PUBLIC_URL:-https://site.acme.dev}
"""
ANCHORS = """
x-common: &common
  restart: unless-stopped
  env_file: [app.env]
services:
  front:
    <<: *common
    build: ./front
    ports: ["${FRONT_PORT:-3000}:3000"]
  api:
    <<: *common
    build: {context: ./api, target: prod, args: {A: b}}
    ports: ["${API_PORT:-4000}:4000"]
    environment: {SESSION_SECRET: "${SESSION_SECRET}", TITLE: "${TITLE:-It's ours}"}
  pg:
    image: timescale/timescaledb:2.17.2-pg16
    env_file: [{path: pg.env}]
  admin:
    image: adminer:4
    profiles: [tools]
    ports: ["8081:8080"]
"""
BESIDE_ANCHORS = {
    "app.env": "X=1\n",
    "pg.env": f"POSTGRES_PASSWORD={CANARY}\n",
    "front/Dockerfile": "",
    "api/Dockerfile": "",
}


class Folder:
    """A folder with compose files, and the program in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, **files: str) -> Folder:
        for name, text in files.items():
            path = self.root / {"env": ".env", "yaml": "compose.yaml"}.get(name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text).lstrip("\n"))
        return self

    def init(self, *arguments: str, cwd: Path | None = None, **variables: str) -> Ended:
        return self.run("env", "init", *arguments, cwd=cwd, **variables)

    def run(self, *arguments: str, cwd: Path | None = None, **variables: str) -> Ended:
        done = subprocess.run(
            [PROGRAM, *arguments],
            cwd=cwd or self.root,
            env={**environment(), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def text(self, name: str) -> str:
        return (self.root / "environments" / name).read_text()

    def toml(self, name: str) -> dict[str, object]:
        return tomllib.loads(self.text(name))

    def values(self, name: str) -> dict[str, str]:
        lines = self.text(f".env.{name}").splitlines()
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    def made(self) -> list[str]:
        folder = self.root / "environments"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def is_sound(self, name: str) -> None:
        """For `env validate`, and for Compose with these files and values."""
        validated = self.run("env", "validate", name, "--json")
        assert (validated.code, validated.err) == (0, "")
        found = [each["code"] for each in json.loads(validated.out)["findings"]]
        # who may read production's backups is left to a person, who has the key
        exposed = name == "prod" and "database" in self.toml("base.toml")
        assert found == (["W113"] if exposed else [])
        compose = self.toml("base.toml")["service"]["compose"]  # type: ignore[index]
        files = [part for file in compose for part in ("-f", self.root / "environments" / file)]
        env_file = self.root / "environments" / f".env.{name}"
        taken = subprocess.run(
            ["docker", "compose", *files, "--env-file", env_file, "config", "--quiet"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (taken.returncode, taken.stderr) == (0, "")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "shop"
    root.mkdir()
    return Folder(root)


def service(folder: Folder) -> dict[str, object]:
    return folder.toml("base.toml")["service"]  # type: ignore[return-value]


def test_node_and_postgres(folder: Folder) -> None:
    done = folder.write(yaml=NODE, env=NODE_ENV_FILE).init("prod")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "prod: sound"
    folder.is_sound("prod")
    assert service(folder) == {
        "name": "shop",
        "compose": ["../compose.yaml", "compose.database.yaml"],
        "release": ["api"],
        "web": "api",
        "port": 3000,
        "image": "shop",
        "build": "..",
        "url": "http://127.0.0.1:${PORT}",
        "health": "/healthz",
    }
    values = folder.values("prod")
    assert len(values["POSTGRES_PASSWORD"]) == len(values["JWT_SECRET"]) == 48
    assert values["STRIPE_API_KEY"] == f"sk_live_{CANARY}"
    assert (values["NODE_ENV"], values["LOG_LEVEL"]) == ("production", "info")
    assert values["DATABASE_URL"] == (
        "postgres://${POSTGRES_USER}:${POSTGRES_PASSWORD}@db:5432/${POSTGRES_DB}?schema=public"
    )
    assert folder.toml("prod.toml")["protected"] is True
    assert folder.toml("prod.toml")["watch"] == {"after_deploy": True}
    assert "FOR_SOMETHING_ELSE" in done.err
    assert "too weak in .env to be taken over: POSTGRES_PASSWORD, JWT_SECRET" in done.err
    assert CANARY not in done.out + done.err + folder.text(".env.prod.example")


def test_the_env_file_is_private_and_never_committed(folder: Folder) -> None:
    folder.write(yaml=NODE).init("prod")
    assert stat.S_IMODE((folder.root / "environments/.env.prod").stat().st_mode) == 0o600
    subprocess.run(["git", "init", "-q", folder.root], check=True)
    asked = ["git", "-C", folder.root, "check-ignore", "--no-index"]
    files = ["environments/.env.prod", "environments/.env.prod.example", "environments/base.toml"]
    ignored = subprocess.run([*asked, *files], capture_output=True, text=True, check=False).stdout
    assert ignored.split() == ["environments/.env.prod"]


def test_django_behind_nginx(folder: Folder) -> None:
    folder.write(yaml=DJANGO, **{"backend/Dockerfile": "FROM scratch\n"})
    done = folder.init("staging", "--set", "ALLOWED_HOSTS=shop.acme.dev", "--health", "/up/")
    assert done.code == 0, done.err
    folder.is_sound("staging")
    found = service(folder)
    assert (found["web"], found["release"]) == ("web", ["web", "worker"])
    assert (found["port"], found["url"]) == (8000, "http://127.0.0.1:${HTTP_PORT}")
    assert (found["build"], found["health"]) == ("../backend", "/up/")
    assert folder.toml("base.toml")["database"] == {
        "url": "postgresql://shop:${POSTGRES_PASSWORD}@127.0.0.1:${DB_PORT}/shop",
        "service": "postgres",
    }
    assert folder.values("staging")["SECRET_KEY"] != "insecure-django-key"
    assert not {"protected", "watch"} & set(folder.toml("staging.toml"))


def test_what_has_no_value_is_said_at_once_with_the_flag(folder: Folder) -> None:
    done = folder.write(yaml=DJANGO, **{"backend/Dockerfile": ""}).init("prod")
    assert done.code == 2
    assert "What is the value of ALLOWED_HOSTS?" in done.err
    assert "--set ALLOWED_HOSTS=VALUE" in done.err
    assert folder.made() == []


def test_hard_coded_ports_are_enough_for_one(folder: Folder) -> None:
    assert folder.write(yaml=HARD_CODED).init("prod").code == 0
    folder.is_sound("prod")
    assert service(folder)["url"] == "http://127.0.0.1:8080"
    assert service(folder)["image"] == "ghcr.io/acme/wiki"


def test_hard_coded_ports_are_not_enough_for_two(folder: Folder) -> None:
    done = folder.write(yaml=HARD_CODED).init("staging", "prod")
    assert (done.code, folder.made()) == (4, [])
    for expected in (
        'app publishes port 8080: write "${APP_PORT:-8080}:80"',
        "app: remove container_name: wiki",
        'db publishes port 5433: write "${DB_PORT:-5433}:5432"',
        "db keeps its data in ./data",
    ):
        assert expected in done.err
    assert "init.sql" not in done.err
    folder.init("prod")
    assert folder.init("staging").code == 4


def test_data_that_is_there_keeps_its_password(folder: Folder) -> None:
    done = folder.write(yaml=HARD_CODED, env="DB_PASSWORD=wiki-of-old\n").init("prod")
    assert folder.values("prod")["DB_PASSWORD"] == "wiki-of-old"
    assert done.code == 3  # it is too short; the rules say so, and where
    assert "environments/.env.prod:2:1 E010" in done.err
    assert "written, but" in done.out
    assert "wiki-of-old" not in done.out + done.err


def test_without_a_database(folder: Folder) -> None:
    assert folder.write(**{"docker-compose.yml": NO_DATABASE}).init("prod").code == 0
    folder.is_sound("prod")
    assert "database" not in folder.toml("base.toml")
    assert service(folder)["port"] == 8080
    assert service(folder)["image"] == "acme/site"
    variables = folder.toml("base.toml")["variables"]
    assert variables["API_TOKEN"]["secret"] is True  # type: ignore[index]
    assert variables["PUBLIC_URL"]["type"] == "url"  # type: ignore[index]


def test_env_files_anchors_and_profiles(folder: Folder) -> None:
    files = {
        "app.env": "X=1\n",
        "pg.env": f"POSTGRES_PASSWORD={CANARY}\n",
        "front/x": "",
        "api/x": "",
    }
    folder.write(yaml=ANCHORS, **files)
    asked = folder.init("prod")
    assert asked.code == 2
    assert "Candidates: api, front." in asked.err
    assert "--web SERVICE" in asked.err
    done = folder.init("prod", "--web", "api")
    assert done.code == 0, done.err
    folder.is_sound("prod")
    assert folder.values("prod")["POSTGRES_PASSWORD"] == CANARY
    assert "build.target, build.args" in done.err
    assert "left out: admin" in done.err
    assert CANARY not in done.out + done.err


def test_two_environments_share_no_port_and_no_secret(folder: Folder) -> None:
    done = folder.write(yaml=NODE, env=NODE_ENV_FILE).init("staging", "prod", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)["data"]
    assert [each["name"] for each in found["environments"]] == ["staging", "prod"]
    assert "environments/staging.toml" in found["files"]
    validated = folder.run("env", "validate", "--all")
    assert validated.code == 0, validated.out
    assert "W106" in validated.out  # the key of somebody else's service is for one of them
    staging, prod = folder.values("staging"), folder.values("prod")
    assert (staging["PORT"], prod["PORT"]) == ("3000", "3001")
    assert staging["POSTGRES_PORT"] != prod["POSTGRES_PORT"]
    assert staging["JWT_SECRET"] != prod["JWT_SECRET"]
    assert "STRIPE_API_KEY" not in prod


def test_one_more_later_leaves_the_rest_as_it_is(folder: Folder) -> None:
    folder.write(yaml=NODE).init("prod")
    ours = "# mine\n" + folder.text("base.toml")
    (folder.root / "environments/base.toml").write_text(ours)
    done = folder.init("staging")
    assert done.code == 0, done.err
    assert folder.text("base.toml") == ours
    assert folder.run("env", "validate", "--all").code == 0
    refused = folder.init("qa", "--web", "db")
    assert refused.code == 2
    assert "base.toml is there" in refused.err


def test_it_takes_what_an_older_base_file_asks_for(folder: Folder) -> None:
    """The environments of this repository, written by hand."""
    here = Path(__file__).parents[3]
    shutil.copytree(here / "environments", folder.root / "environments")
    shutil.copytree(here / "migrations", folder.root / "migrations")
    (folder.root / "examples/stockmind-api").mkdir(parents=True)
    given = ("PORT=5003", "SMOKE_ORIGIN=https://qa.acme.dev")
    done = folder.init("qa", *(part for each in given for part in ("--set", each)))
    assert done.code == 0, done.err
    assert folder.run("env", "validate", "qa", "--strict").code == 0


def test_nothing_is_overwritten(folder: Folder) -> None:
    folder.write(yaml=NODE).init("prod")
    before = {name: folder.text(name) for name in folder.made()}
    done = folder.init("prod")
    assert done.code == 4
    assert "prod.toml, .env.prod, .env.prod.example already" in done.err
    assert {name: folder.text(name) for name in folder.made()} == before


def test_what_a_cut_off_run_left_is_named(folder: Folder) -> None:
    folder.write(yaml=NODE, **{"environments/.env.prod": "A=1\n"})
    done = folder.init("prod")
    assert done.code == 4
    assert ".env.prod" in done.err
    assert folder.made() == [".env.prod"]


def test_a_plan_writes_nothing_and_shows_no_secret(folder: Folder) -> None:
    done = folder.write(yaml=NODE, env=NODE_ENV_FILE).init("prod", "--plan")
    assert (done.code, folder.made()) == (0, [])
    assert "STRIPE_API_KEY=***" in done.out
    assert "JWT_SECRET=***" in done.out
    assert 'web     = "api"' in done.out
    assert CANARY not in done.out + done.err


def test_secrets_come_from_the_process_and_not_from_the_command_line(folder: Folder) -> None:
    folder.write(yaml=NODE.replace("STRIPE_API_KEY:-", "STRIPE_API_KEY:?"))
    asked = folder.init("prod")
    assert asked.code == 2
    assert "STRIPE_API_KEY in the process environment" in asked.err
    refused = folder.init("prod", "--set", f"STRIPE_API_KEY={CANARY}")
    assert (refused.code, CANARY in refused.out + refused.err) == (2, False)
    done = folder.init("prod", STRIPE_API_KEY=f"sk_live_{CANARY}")
    assert done.code == 0, done.err
    assert folder.values("prod")["STRIPE_API_KEY"] == f"sk_live_{CANARY}"


WRONG: dict[str, tuple[dict[str, str], tuple[str, ...], int, str]] = {
    "no compose file": ({}, ("prod",), 2, "no compose file"),
    "not YAML": ({"yaml": "services:\n  a: [\n"}, ("prod",), 3, "compose.yaml:3:1 C010"),
    "not Compose": ({"yaml": "services: {a: {imagee: x}}\n"}, ("prod",), 3, "imagee"),
    "a database alone": (
        {"yaml": "services: {a: {image: 'postgres:1'}}\n"},
        ("prod",),
        2,
        "no service",
    ),
    "no port": ({"yaml": "services: {a: {image: 'a:1'}}\n"}, ("prod",), 2, "--port N"),
    "unknown service": ({"yaml": NODE}, ("prod", "--web", "apy"), 2, "Did you mean api?"),
    "a verb": ({"yaml": NODE}, ("status",), 2, "verb of `stockctl deploy`"),
    "base": ({"yaml": NODE}, ("base",), 2, "cannot be the name"),
    "no name": ({"yaml": NODE}, (), 2, "which environment?"),
    "no such file": ({}, ("prod", "--compose", "x.yaml"), 3, "x.yaml"),
    "no such folder": ({"yaml": NODE}, ("prod", "--migrations", "x"), 2, "no folder x"),
    "broken .env": ({"yaml": NODE, "env": "A='x\nB=1\n"}, ("prod",), 3, ".env:1"),
    "a file": ({"yaml": NODE, "environments": ""}, ("prod",), 4, "is no folder"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input(folder: Folder, case: str) -> None:
    files, arguments, code, said = WRONG[case]
    done = folder.write(**files).init(*arguments)
    assert (done.code, done.out, folder.made()) == (code, "", [])
    assert said in done.err
    assert "Traceback" not in done.err


def test_without_docker_it_says_so(folder: Folder, tmp_path: Path) -> None:
    done = folder.write(yaml=NODE).init("prod", PATH=str(tmp_path))
    assert (done.code, folder.made()) == (6, [])
    assert "docker is not on this machine" in done.err


def test_a_folder_that_is_elsewhere(folder: Folder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "a" / "b"
    elsewhere.mkdir(parents=True)
    (folder.root / "environments").symlink_to(elsewhere)
    assert folder.write(yaml=NODE).init("prod").code == 0
    folder.is_sound("prod")
    assert folder.run("env", "show", "prod").code == 0


def test_compose_files_by_name_and_a_root(folder: Folder, tmp_path: Path) -> None:
    folder.write(**{"deploy/base.yml": NODE, "deploy/more.yml": "services: {api: {init: true}}\n"})
    files = ("--compose", "shop/deploy/base.yml", "--compose", "shop/deploy/more.yml")
    done = folder.init("prod", "--root", "shop", *files, cwd=tmp_path)
    assert done.code == 0, done.err
    folder.is_sound("prod")
    assert service(folder)["compose"][:2] == ["../deploy/base.yml", "../deploy/more.yml"]  # type: ignore[index]
    assert service(folder)["build"] == "../deploy"


@pytest.fixture
def terminal(folder: Folder) -> Iterator[Callable[..., tuple[int, str]]]:
    """Runs it on a terminal and types `answers`, one for each question mark at a prompt."""

    def talk(*arguments: str, answers: list[str]) -> tuple[int, str]:
        child, descriptor = pty.fork()
        if child == 0:
            os.chdir(folder.root)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored below `&` of a script
            os.execve(PROGRAM, ["stockctl", *arguments], environment(TERM="dumb"))
        said, left = "", [*answers]
        with suppress(OSError):  # EIO: the other side is gone
            while select.select([descriptor], [], [], DEADLINE_S)[0]:
                said += os.read(descriptor, 4096).decode()
                if left and said.endswith(PROMPTS):
                    os.write(descriptor, left.pop(0).encode())
                    said += "\n"
            os.kill(child, signal.SIGKILL)  # nothing more came of it
        _, status = os.waitpid(child, 0)
        os.close(descriptor)
        return os.waitstatus_to_exitcode(status), said

    yield talk


Talk = Callable[..., tuple[int, str]]


def test_it_asks_on_a_terminal(folder: Folder, terminal: Talk) -> None:
    folder.write(yaml=ANCHORS.replace("TITLE:-It's ours", "TITLE:?"), **BESIDE_ANCHORS)
    code, said = terminal("env", "init", answers=["\n", "apj\n", "api\n", "Shop\n"])
    assert code == 0, said
    assert "expected one of api, front" in said
    assert service(folder)["web"] == "api"
    assert folder.values("prod")["TITLE"] == "Shop"
    folder.is_sound("prod")


def test_a_secret_that_is_typed_is_not_echoed(folder: Folder, terminal: Talk) -> None:
    folder.write(yaml=NODE.replace("STRIPE_API_KEY:-", "STRIPE_API_KEY:?"))
    code, said = terminal("env", "init", "prod", answers=[f"sk_live_{CANARY}\n"])
    assert code == 0, said
    assert folder.values("prod")["STRIPE_API_KEY"] == f"sk_live_{CANARY}"
    assert CANARY not in said


def test_ctrl_c_at_a_question_leaves_nothing(folder: Folder, terminal: Talk) -> None:
    code, _ = terminal("env", "init", answers=["\x03"]) if folder.write(yaml=NODE) else (0, "")
    assert (code, folder.made()) == (130, [])


def test_two_at_once_do_not_mix(folder: Folder) -> None:
    folder.write(yaml=NODE)
    both = [
        subprocess.Popen(
            [PROGRAM, "env", "init", "prod"],
            cwd=folder.root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for each in both:
        each.communicate(timeout=60)
    assert sorted(each.returncode for each in both)[0] == 0
    assert all(each.returncode in (0, 4) for each in both)
    assert len(folder.made()) == 6
    folder.is_sound("prod")


def test_a_run_that_was_killed_after_the_base_file_is_taken_up(folder: Folder) -> None:
    folder.write(yaml=NODE).init("prod")
    for name in ("prod.toml", ".env.prod", ".env.prod.example"):
        (folder.root / "environments" / name).unlink()
    assert folder.init("prod").code == 0
    folder.is_sound("prod")


def test_the_schema_is_printed_bare_and_in_an_envelope(folder: Folder) -> None:
    bare, wrapped = folder.run("env", "schema"), folder.run("env", "schema", "--json")
    keys = wrapped.document["data"]["schema"]["properties"].keys()
    assert json.loads(bare.out)["properties"].keys() == keys
    assert json.loads(bare.out)["$schema"].endswith("draft-07/schema#")
