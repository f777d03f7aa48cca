"""A service without metrics is judged by what the proxy counts."""

from __future__ import annotations

import itertools
import re
import threading
import urllib.request
from typing import Any

from tests.e2e.rolling.conftest import IMAGE, Shop

WATCH = """
[watch]
interval = "300ms"
sustained = "1s"
requests = 20
"""


def test_errors_that_only_the_proxy_counts_bring_the_old_release_back(shop: Shop) -> None:
    interrupted_watching_leaves_what_serves(shop)
    second = shop.deployed("v2", ERRORS="50")
    assert "not watched: stockctl deploy watch staging --rollback" in second.err
    # nobody asks but the watching itself, which is not enough to say anything
    quiet = shop.ok("deploy", "watch", "staging", "--for", "3s")
    assert "too few requests" in quiet.err
    bad = figures(shop)
    assert bad["requests"] == 1  # ours, above: who looks at its health is no user
    with shop.load():
        done = shop.run(
            "deploy", "watch", "staging", "--for", "60s", "--rollback", "--yes", "--json"
        )
        assert done.code == 9, done.err
        assert "r0002 was withdrawn, r0001 serves again: error_rate is" in shop.error(done)
        back = figures(shop)
    assert shop.version() == "v1"
    assert (back["source"], back["error_rate"]) == ("proxy", 0)  # r0002's errors are not its own
    assert back["counted_since"] > bad["counted_since"]
    assert "was withdrawn: error_rate is" in shop.ok("status", "staging").out
    metrics = shop.root / "shop.prom"
    shop.ok("monitor", "textfile", "staging", "--to", str(metrics))
    assert re.search(r"^stockctl_deploy_failed\{.*\} 1", metrics.read_text(), re.M)


def interrupted_watching_leaves_what_serves(shop: Shop) -> None:
    """The first deploy, which would be watched for half an hour."""
    file = shop.root / "environments" / "staging.toml"
    plain = file.read_text() + WATCH
    file.write_text(plain + "after_deploy = true\n")
    shop.set(VERSION="v1")
    done = shop.interrupt_at("r0001 on staging: well", "deploy", "staging", "--image", IMAGE)
    assert done.code == 130
    assert "the live release goes on serving, and nobody watches it" in done.err
    assert shop.version() == "v1"
    file.write_text(plain)


def figures(shop: Shop) -> dict[str, Any]:
    """What `status` says of requests, errors and p95."""
    found: dict[str, Any] = shop.ok("status", "staging", "--json").data["data"]["health"]
    return found


class Users:
    """Four of them. One answer of `each` takes 0.6 seconds, the others a few milliseconds."""

    def __init__(self, url: str, each: int) -> None:
        self.url, self.each, self.over = url, each, threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(4)]

    def _ask(self) -> None:
        numbers = itertools.count(1)
        while not self.over.wait(0.01):
            path = "/" if next(numbers) % self.each else "/slow?s=0.6"
            urllib.request.urlopen(self.url + path, timeout=10).close()

    def __enter__(self) -> None:
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_slow_answers_that_a_mean_would_hide_bring_the_old_release_back(shop: Shop) -> None:
    shop.toml(WATCH.replace('sustained = "1s"', 'sustained = "3s"') + "p95_ms = 400\n")
    shop.deployed("v1")
    shop.deployed("v2")
    with Users(shop.url, each=60):  # 2 of 100: neither the mean nor the p95 is long
        few = shop.ok("deploy", "watch", "staging", "--for", "8s")
    assert "too few requests" not in few.err
    with Users(shop.url, each=10):  # the mean is 70 ms
        done = shop.run(
            "deploy", "watch", "staging", "--for", "60s", "--rollback", "--yes", "--json"
        )
    assert done.code == 9, done.err
    assert "r0002 was withdrawn, r0001 serves again: p95_ms is" in shop.error(done)
    assert shop.version() == "v1"
