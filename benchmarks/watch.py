"""What being watched costs the service: requests per second and p95, each as a ratio.

`proxy`: HAProxy with its counters of how long answers took against the same configuration without
them, in front of a server that answers at once, so that the proxy is what is measured.
`watch`: the shop behind the proxy, with `deploy watch` at an interval of 1 s and without.

Both alternate with a second run of the baseline, whose ratio is the noise. Needs hey and an engine.
"""

from __future__ import annotations

import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.rolling.conftest import Shop, make, take_away

from stockctl.system import haproxy

IMAGE = "stockctl-testbed/haproxy:2.6"
ROUNDS = 10
SECONDS = 4
AT_ONCE = """\
defaults
  mode http
  timeout client 1m
frontend all
  bind :5000
  http-request return status 200 content-type text/plain string ok
"""
COUNTING = ("acl healthcheck", "set-var-fmt(txn.ms)", "track-sc2", "sc-inc-gpc")


@dataclass(frozen=True)
class Figures:
    """Of one run of hey."""

    rps: float
    p95_ms: float


def measured(url: str, clients: int) -> Figures:
    """One run."""
    argv = ["hey", "-z", f"{SECONDS}s", "-c", str(clients), url]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    rate, p95 = re.search(r"Requests/sec:\s+([\d.]+)", text), re.search(r"95% in ([\d.]+)", text)
    assert rate and p95 and "Error distribution" not in text, text
    return Figures(float(rate[1]), 1000 * float(p95[1]))


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def alternating(name: str, runs: dict[str, Callable[[], Figures]]) -> None:
    """Each in turn, forwards and backwards; the first two are the baseline, twice."""
    for run in runs.values():
        run()  # warm
    seen: dict[str, list[Figures]] = {each: [] for each in runs}
    for number in range(ROUNDS):
        for each in list(runs)[:: 1 if number % 2 else -1]:
            seen[each].append(runs[each]())
    base = next(iter(runs))
    rps = statistics.median(each.rps for each in seen[base])
    p95 = statistics.median(each.p95_ms for each in seen[base])
    print(f"{name:<6} {base:<16} {rps:8.0f}/s  p95 {p95:6.2f} ms   {ROUNDS} runs of {SECONDS} s")
    for each in list(runs)[1:]:
        pairs = list(zip(seen[base], seen[each], strict=True))
        faster = [other.rps / one.rps for one, other in pairs]
        longer = [other.p95_ms / one.p95_ms for one, other in pairs]
        print(f"{name:<6} {each:<16} {ratio(faster)}  p95 {ratio(longer)}")


def ratio(values: list[float]) -> str:
    """The median, and between what the middle half is."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:5.3f} ({low:.3f} to {high:.3f})"


@contextmanager
def proxies(folder: Path) -> Iterator[dict[str, str]]:
    """Three, in front of one server, and where they answer."""
    network = f"stockctl-bench-{uuid.uuid4().hex[:8]}"
    server = haproxy.Server("r0001-1", "server", 5000)
    text = haproxy.render((haproxy.Route("r0001", 100, (server,)),), health="/health", drain_s=1)
    plain = "\n".join(li for li in text.splitlines() if not any(c in li for c in COUNTING)) + "\n"
    texts = {"server": AT_ONCE, "without": plain, "without again": plain, "with times": text}
    made = {each: f"{network}-{each.replace(' ', '-')}" for each in texts}
    docker("network", "create", network)
    try:
        for each, name in made.items():
            file = folder / f"{name}.cfg"
            file.write_text(texts[each])
            there = ("--network", network, "--network-alias", each.split()[0], "--user", "0:0")
            mount = ("-v", f"{file}:/cfg:ro", "-p", "127.0.0.1::8080")
            docker("run", "-d", "--name", name, *there, *mount, IMAGE, "-W", "-db", "-f", "/cfg")
        ports = {each: docker("port", name, "8080/tcp") for each, name in made.items()}
        time.sleep(2)  # the resolver of the first second
        yield {each: f"http://{port}/" for each, port in ports.items() if each != "server"}
    finally:
        docker("rm", "-f", *made.values())
        docker("network", "rm", network)


@contextmanager
def watched(shop: Shop) -> Iterator[None]:
    """By a `deploy watch` that has begun to look."""
    argv = shop.argv("deploy", "watch", "staging", "--for", "10m")
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(3)
        assert process.poll() is None
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def watching(shop: Shop) -> None:
    shop.toml('\n[watch]\ninterval = "1s"\n')
    shop.deployed("v1")
    url = f"{shop.url}/"

    def looked_at() -> Figures:
        with watched(shop):
            return measured(url, 8)

    def alone() -> Figures:
        return measured(url, 8)

    alternating("watch", {"without": alone, "without again": alone, "deploy watch": looked_at})


def main() -> None:
    """Prints the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        with proxies(Path(folder)) as urls:
            alternating("proxy", {each: partial(measured, url, 32) for each, url in urls.items()})
        shop = make(Path(folder) / "project")
        try:
            watching(shop)
        finally:
            take_away(shop)


if __name__ == "__main__":
    main()
