"""What being watched costs the service: requests per second, p95, and processor time for each
request, all as ratios. On a machine with other work the last is the one to look at.

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
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.rolling.conftest import Shop, make, take_away

from stockctl.system import haproxy
from stockctl.system.engine import Engine

IMAGE = "stockctl-testbed/haproxy:2.6"
ROUNDS = 16
SECONDS = 2
AT_ONCE = """\
defaults
  mode http
  timeout client 1m
frontend all
  bind :5000
  http-request return status 200 content-type text/plain string ok
"""
ENGINE = Engine()
COUNTING = ("acl healthcheck", "set-var-fmt(txn.ms)", "track-sc2", "sc-inc-gpc")


@dataclass(frozen=True)
class Figures:
    """Of one run of hey."""

    rps: float
    p95_ms: float
    cpu_us: float  # of its containers, for each request


def measured(url: str, clients: int, names: tuple[str, ...]) -> Figures:
    """One run, and what these containers took of the processors in it."""
    before = spent(names)
    argv = ["hey", "-z", f"{SECONDS}s", "-c", str(clients), url]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    took = spent(names) - before
    rate, p95 = re.search(r"Requests/sec:\s+([\d.]+)", text), re.search(r"95% in ([\d.]+)", text)
    answers = re.search(r"\[200\]\s+(\d+) responses", text)
    assert rate and p95 and answers and "Error distribution" not in text, text
    return Figures(float(rate[1]), 1000 * float(p95[1]), 1e6 * took / int(answers[1]))


def spent(names: tuple[str, ...]) -> float:
    """Seconds of the processors."""
    return sum(ENGINE.usage(name).cpu_s for name in names)


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
    first = [statistics.median(values) for values in zip(*map(astuple, seen[base]), strict=True)]
    print(
        f"{name:<6} {base:<14} {first[0]:6.0f}/s  p95 {first[1]:5.1f} ms  {first[2]:4.0f} us each"
    )
    for each in list(runs)[1:]:
        pairs = zip(map(astuple, seen[base]), map(astuple, seen[each]), strict=True)
        ratios = [[b / a for a, b in zip(one, other, strict=True)] for one, other in pairs]
        rps, p95, cpu = (ratio(list(values)) for values in zip(*ratios, strict=True))
        print(f"{name:<6} {each:<14} requests {rps}  p95 {p95}  processor time {cpu}")


def ratio(values: list[float]) -> str:
    """The median, and between what the middle half is."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:5.3f} ({low:.3f} to {high:.3f})"


@contextmanager
def proxies(folder: Path) -> Iterator[dict[str, Callable[[], Figures]]]:
    """Three, in front of one server: a run against each."""
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
        time.sleep(2)  # the resolver of the first second
        yield {
            each: partial(measured, f"http://{docker('port', name, '8080/tcp')}/", 32, (name,))
            for each, name in made.items()
            if each != "server"
        }
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
    names = tuple(f"{shop.compose_project}-{each}" for each in shop.containers())
    alone = partial(measured, f"{shop.url}/", 8, names)

    def looked_at() -> Figures:
        with watched(shop):
            return alone()

    alternating("watch", {"without": alone, "without again": alone, "deploy watch": looked_at})


def main() -> None:
    """Prints the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        with proxies(Path(folder)) as runs:
            alternating("proxy", runs)
        shop = make(Path(folder) / "project")
        try:
            watching(shop)
        finally:
            take_away(shop)


if __name__ == "__main__":
    main()
