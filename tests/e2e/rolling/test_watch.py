"""A service without metrics is judged by what the proxy counts."""

from __future__ import annotations

from tests.e2e.rolling.conftest import Shop

WATCH = """
[watch]
interval = "300ms"
sustained = "1s"
requests = 20
"""


def test_errors_that_only_the_proxy_counts_bring_the_old_release_back(shop: Shop) -> None:
    shop.toml(WATCH)
    shop.deployed("v1")
    shop.deployed("v2", ERRORS="50")
    # nobody asks but the watching itself, which is not enough to say anything
    quiet = shop.ok("deploy", "watch", "staging", "--for", "3s")
    assert "too few requests" in quiet.err
    with shop.load():
        done = shop.run(
            "deploy", "watch", "staging", "--for", "60s", "--rollback", "--yes", "--json"
        )
    assert done.code == 9, done.err
    assert "r0002 was withdrawn, r0001 serves again: error_rate is" in shop.error(done)
    assert shop.version() == "v1"
