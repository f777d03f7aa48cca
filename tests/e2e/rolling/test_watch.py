"""A service without metrics is judged by what the proxy counts."""

from __future__ import annotations

import itertools
import threading
import urllib.request

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
