"""What is done from day to day, with releases beside one another."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from tests.e2e.rolling.conftest import Shop
from tests.remotes import Sshd


def test_logs_exec_plan_and_the_soak(shop: Shop) -> None:
    first = shop.run("deploy", "staging", "--image", "stockctl-testbed/shop:1", "--plan", "--json")
    assert first.data["data"]["planned"]["outage"].startswith("none")
    shop.deployed("v1")
    planned = shop.ok(
        "deploy", "staging", "--image", "stockctl-testbed/shop:1", "--plan", "--json"
    ).data["data"]["planned"]
    assert planned["steps"] == ["image", "start", "healthy", "switch", "watch"]
    assert planned["outage"].startswith("none")
    assert "10m 00s it runs on" in planned["way_back"]
    shop.deployed("v2")  # r0001 runs on
    version = ("deploy", "exec", "staging", "--", "printenv", "VERSION")
    assert shop.ok(*version).out == "v2\n"
    assert shop.ok(*version[:2], "--release", "r0001", *version[2:]).out == "v1\n"
    lines = shop.ok("deploy", "logs", "staging", "--json").data["data"]["lines"]
    assert {line["container"] for line in lines} == {f"{shop.compose_project}-r0002-shop-1"}
    _deployed_by_somebody_else(shop, "2024-01-01T00:00:00Z")  # whose clock is behind
    shop.ok("deploy", "tidy", "staging")
    assert shop.containers()["r0001-shop-1"] == "running"
    assert "still runs" not in shop.ok("deploy", "status", "staging").out  # within its soak
    _deployed_by_somebody_else(shop, "2199-01-01T00:00:00Z", long_ago=True)
    for said in (shop.ok("status", "staging").out, shop.ok("deploy", "status", "staging").out):
        assert "r0001 still runs for a quick rollback, " in said
        assert "stockctl deploy tidy staging" in said
    spare = shop.ok("status", "staging", "--json").data["data"]["release"]["spare"]
    assert [each["release"] for each in spare] == ["r0001"]
    assert spare[0]["memory_bytes"] > 1_000_000
    watch = ("deploy", "watch", "staging", "--for", "300ms")
    shop.ok(*watch)  # only looks
    assert shop.containers()["r0001-shop-1"] == "running"
    shop.ok(*watch, "--rollback", "--yes")  # may act: there is nothing to go back for any more
    assert shop.ok("status", "staging", "--json").data["data"]["release"]["spare"] == []
    assert shop.containers()["r0001-shop-1"] == "exited"
    refused = shop.run("deploy", "contract", "staging", "--json")
    assert refused.code == 4  # it has no database; with one, the soak is asked next


def _deployed_by_somebody_else(shop: Shop, since: str, *, long_ago: bool = False) -> None:
    """What is live was put there by a machine with another clock."""
    file = shop.directory / "live.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "since": since}))
    if long_ago:
        os.utime(file, (0, 0))


def asked(shop: Shop, path: str = "/") -> tuple[int, str, str]:
    """Status, Retry-After and body."""
    try:
        with urllib.request.urlopen(f"{shop.url}{path}", timeout=10) as answer:
            return answer.status, "", answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Retry-After"], error.read().decode()


def test_maintenance_answers_everybody_and_outlasts_a_deploy(shop: Shop) -> None:
    assert shop.run("deploy", "maintenance", "staging", "--on").code == 4  # nothing there yet
    shop.toml('\n[[smoke]]\nname = "it answers"\npath = "/"\n')
    shop.deployed("v1")
    assert shop.run("deploy", "maintenance", "staging").code == 2
    large = shop.root / "large.html"
    large.write_text("x" * 20_000)
    refused = shop.run("deploy", "maintenance", "staging", "--on", "--page", str(large))
    assert refused.code == 4
    assert asked(shop)[0] == 200
    on = ("deploy", "maintenance", "staging", "--on", "--retry-after", "10m")
    planned = shop.ok(*on, "--plan", "--json").data["data"]["planned"]
    assert planned == {"maintenance": True, "was_on": False}
    assert asked(shop)[0] == 200
    assert shop.run(*on, "--plan", "--page", str(large)).code == 4
    shop.ok(*on, "--message", "Back at <4> am.")
    status, retry, body = asked(shop)
    assert (status, retry) == (503, "600")
    assert "Back at &lt;4&gt; am." in body
    assert asked(shop, "/health")[0] == 200
    assert shop.ok("deploy", "status", "staging", "--json").data["data"]["maintenance"] is True
    done = shop.to("v2")  # its public smoke check asks the release itself
    assert done.code == 0, done.err + done.out
    assert asked(shop)[0] == 503
    assert "let in again" in shop.ok("deploy", "maintenance", "staging", "--off", "--plan").out
    assert asked(shop)[0] == 503
    off = shop.ok("deploy", "maintenance", "staging", "--off", "--json").data["data"]
    assert off == {"maintenance": False, "was_on": True}
    assert shop.version() == "v2"
    again = shop.ok("deploy", "maintenance", "staging", "--off", "--json").data["data"]
    assert again["was_on"] is False
    commands = [
        entry["command"]
        for entry in shop.ok("journal", "staging", "--json").data["data"]["entries"]
    ]
    assert "deploy maintenance --on" in commands


def test_rolling_on_another_machine(shop: Shop, sshd: Sshd, tmp_path: Path) -> None:
    """The proxy, its configuration and its counters are over there."""
    plugins = sshd.folder / ".docker"
    if not plugins.exists():
        plugins.symlink_to(Path.home() / ".docker")
    shutil.copy(sshd.known_hosts, shop.root / "environments" / "known_hosts")
    shop.toml(
        f'\n[host]\nssh = "127.0.0.1:{sshd.port}"\nidentity_file = "{sshd.key}"\n'
        f'directory = "{tmp_path / "there"}"\n'
        '[[smoke]]\nname = "it answers"\npath = "/"\n'
    )
    shop.deployed("v1")
    with shop.load() as load:
        shop.deployed("v2")
        back = shop.back()
        assert back.code == 0, back.err
    assert shop.version() == "v1"
    assert load.failed == [], load.failed[:3]
    assert (tmp_path / "there" / "proxy" / "config" / "haproxy.cfg").exists()
