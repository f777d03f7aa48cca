"""What is done from day to day, with releases beside one another."""

from __future__ import annotations

from tests.e2e.rolling.conftest import Shop


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
    refused = shop.run("deploy", "contract", "staging", "--json")
    assert refused.code == 4  # it has no database; with one, the soak is asked next
