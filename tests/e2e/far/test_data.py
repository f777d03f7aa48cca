"""A service with a database over there: what takes the longest way to it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.far.conftest import project, serves
from tests.e2e.rolling.conftest import IMAGE, Shop
from tests.machine import Machine
from tests.ports import free_port
from tests.remotes import REPO, missing

POSTGRES = "stockctl-testbed/postgres:15"
SERVICE = """\
  postgres:
    image: stockctl-testbed/postgres:15
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: "${POSTGRES_PASSWORD}", POSTGRES_DB: shop}
    ports: ["127.0.0.1:${POSTGRES_PORT}:5432"]
    healthcheck: {test: ["CMD", "pg_isready", "-q", "-U", "shop"], interval: 1s, retries: 60}
"""
DATABASE = """
[database]
url = "postgresql://shop:${POSTGRES_PASSWORD}@127.0.0.1:${POSTGRES_PORT}/shop"
service = "postgres"
migrations = "../migrations"

[[smoke]]
name = "it answers"
path = "/"
"""


def migrate(shop: Shop, number: int, up: str, down: str, phase: str = "expand") -> None:
    folder = shop.root / "migrations"
    folder.mkdir(exist_ok=True)
    (folder / f"{number:04d}_a.sql").write_text(f"-- phase: {phase}\n{up}\n")
    (folder / f"{number:04d}_a.rollback.sql").write_text(f"{down}\n")


@pytest.fixture(scope="module")
def stocked(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One that serves v1; its only table has a row and is in the backup."""
    machine.give(POSTGRES)
    with project(machine, tmp_path_factory.mktemp("stocked") / "project") as shop:
        compose = shop.root / "environments" / "compose.yaml"
        compose.write_text(compose.read_text() + SERVICE)
        toml = shop.root / "environments" / "staging.toml"
        toml.write_text(toml.read_text().replace("[deploy]\n", f"{DATABASE}\n[deploy]\n"))
        port = str(free_port())
        shop.set(VERSION="v1", POSTGRES_PASSWORD=secrets.token_hex(16), POSTGRES_PORT=port)
        up = "CREATE TABLE things (id int PRIMARY KEY, old text);\nINSERT INTO things VALUES (1);"
        migrate(shop, 1, up, "DROP TABLE things;")
        shop.ok("deploy", "staging", "--image", IMAGE)
        shop.ok("backup", "create", "staging")
        yield shop


def test_a_deploy_is_rehearsed_over_there(machine: Machine, stocked: Shop) -> None:
    up, down = "ALTER TABLE things ADD COLUMN new text;", "ALTER TABLE things DROP COLUMN new;"
    migrate(stocked, 2, up, down)
    before = machine.docker("ps", "-aq")
    done = stocked.run("deploy", "rehearse", "staging", "--image", IMAGE, "--json")
    assert done.code == 0, done.err + done.out
    found = done.data["data"]
    assert found["ok"]
    (migration,) = found["migrations"]
    assert (migration["id"], migration["ok"], migration["reversible"]) == ("0002_a", True, True)
    assert [check["ok"] for check in found["smoke"]] == [True]
    assert machine.docker("ps", "-aq") == before
    left = machine.docker("network", "ls", "--filter", "name=rehearsal", "-q")
    assert left == ""
    (stocked.root / "migrations" / "0002_a.sql").unlink()
    (stocked.root / "migrations" / "0002_a.rollback.sql").unlink()


def test_contract_migrations_wait_for_the_soak_over_there(machine: Machine, stocked: Shop) -> None:
    down = "ALTER TABLE things ADD COLUMN old text;"
    migrate(stocked, 3, "ALTER TABLE things DROP COLUMN old;", down, "contract")
    stocked.deploy_settings(soak="1h")
    stocked.set(VERSION="v2")
    deployed = stocked.ok("deploy", "staging", "--image", IMAGE, "--json")
    assert deployed.data["data"]["release"]["waiting"] == ["0003_a"]
    early = stocked.run("deploy", "contract", "staging", "--yes")
    assert (early.code, "its soak is not over" in early.err) == (4, True)
    stocked.deploy_settings(soak="0s")
    done = stocked.ok("deploy", "contract", "staging", "--yes", "--json").data["data"]
    assert [each["id"] for each in done["applied"]] == ["0003_a"]
    back = stocked.back()
    assert (back.code, "cannot run on this schema" in back.out) == (4, True)
    stocked.ok("deploy", "rollback", "staging", "--yes", "--with-database")
    assert serves(machine, stocked) == "v1"


@pytest.fixture
def with_k6(monkeypatch: pytest.MonkeyPatch) -> None:
    state = Path(os.environ.get("STOCKCTL_TESTBED_STATE") or REPO / ".testbed")
    found = sorted(state.glob("k6-*/k6"))
    if not found:
        missing("k6", "k6.sh")
    path = f"{found[-1].parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)


@pytest.mark.usefixtures("with_k6")
def test_load_goes_through_the_connection_and_says_so(machine: Machine, stocked: Shop) -> None:
    argv = ("load", "staging", "--vus", "5", "--duration", "3s", "--json")
    done = stocked.run(*argv)
    assert done.code in (0, 9), done.err + done.out  # the machine may be busy
    found = done.data["data"]
    metrics = found["metrics"]
    assert metrics["requests"] > 5
    assert metrics["failed"] == 0
    assert machine.run("test", "-s", found["report"]) == ""
    assert "through the connection to" in done.err
