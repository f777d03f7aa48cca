"""What a soak is for: a service that keeps memory does not pass, however well it answers."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.rolling.conftest import Shop

LOAD = """
[[smoke]]
name = "root"
path = "/"
[load.soak]
pause = "200ms"
p95_ms = 10000  # this is about memory alone
cpu = 100
"""


def test_memory_that_grows_is_seen_in_a_soak_of_seconds(shop: Shop) -> None:
    shop.toml(LOAD)
    shop.deployed("v1", LEAK_MB="0.4")
    done = shop.run(
        "load", "staging", "--profile", "soak", "--duration", "12s", "--vus", "4", "--json"
    )
    assert done.code == 9, done.err
    data = done.data["data"]
    found = {each["name"]: each for each in data["thresholds"]}
    assert [name for name, each in found.items() if not each["ok"]] == ["memory_growth"]
    assert found["memory_growth"]["value"] > 50
    page = Path(data["report"]).read_text()
    assert "Not passed: memory_growth" in page
    assert "<b>Memory</b>" in page
    shop.deployed("v2")
    done = shop.run(
        "load", "staging", "--profile", "soak", "--duration", "12s", "--vus", "4", "--json"
    )
    assert {each["name"] for each in done.data["data"]["thresholds"] if not each["ok"]} == set()
