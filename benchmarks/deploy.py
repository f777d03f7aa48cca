"""Requests that fail while one release replaces another, under three load generators at once.

`rolling` against `recreate` and against `docker compose up -d` with another version, the same load,
side by side; then, for `rolling`: at least REQUESTS over deploys and rollbacks, how long a warm
rollback takes from its command to the last request that the replaced release answered, and what a
deploy takes beside image, start, health and watching; the same over SSH to 127.0.0.1, with a line
that has no delay and with one that takes AWAY_S for each way. Over SSH also how often a rollback
goes there and back: what it costs over any distance.

Generators: hey with keep-alive, hey with a connection for each request, and tests/load.py, whose
slow requests take SLOW_S and which knows which version answered when. Needs hey, an engine, sshd.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.rolling.conftest import Shop, make, take_away
from tests.load import Load
from tests.remotes import Sshd, Wire, serve_ssh, wire

REQUESTS = 100_000
SLOW_S = 2.0
SHORT_S = 20  # one replacement, for the comparison
LONG_S = 45  # a deploy and a rollback
FAR_ROUNDS = 2
AWAY_S = 0.01
HEY = (
    ("keep-alive", ("-c", "12", "-q", "150")),
    ("none", ("-disable-keepalive", "-c", "4", "-q", "25")),
)
NOT_OURS = {"image", "start", "healthy", "watch", "replace"}


@dataclass
class Tally:
    """What the generators counted."""

    requests: int = 0
    failed: int = 0
    why: list[str] = field(default_factory=list)
    load: Load | None = None


@contextmanager
def generators(shop: Shop, seconds: int) -> Iterator[Tally]:
    """All three at once; hey runs for that long whatever the block does."""
    tally = Tally()
    argv = [["hey", "-z", f"{seconds}s", "-t", "30", *flags, f"{shop.url}/"] for _, flags in HEY]
    running = [subprocess.Popen(each, stdout=subprocess.PIPE, text=True) for each in argv]
    with Load(shop.url, clients=1, slow_s=SLOW_S) as load:
        yield tally
        outputs = [process.communicate()[0] for process in running]
    tally.load = load
    for text in outputs:
        good, bad, why = counted(text)
        tally.requests += good + bad
        tally.failed += bad
        tally.why += why
    tally.requests += len(load.answers)
    tally.failed += len(load.failed)
    tally.why += load.failed


def counted(text: str) -> tuple[int, int, list[str]]:
    """Of hey's report: answers with 200, everything else, and what that was."""
    statuses = {int(s): int(n) for s, n in re.findall(r"\[(\d+)\]\s+(\d+) responses", text)}
    _, _, errors = text.partition("Error distribution:")
    found = re.findall(r"\[(\d+)\]\s+(.+)", errors)
    good = statuses.get(200, 0)
    bad = sum(statuses.values()) - good + sum(int(n) for n, _ in found)
    return good, bad, [reason for _, reason in found]


def compose_up(shop: Shop) -> None:
    """What one does without stockctl."""
    shop.set(VERSION="by-compose")
    file = str(shop.root / "environments" / "compose.yaml")
    argv = ("compose", "-p", shop.compose_project, "-f", file, "--env-file", str(shop.env_file))
    shop.docker(*argv, "up", "--detach")


def compared(name: str, prepare: Callable[[Shop], object], act: Callable[[Shop], object]) -> None:
    """One replacement under load."""
    with tempfile.TemporaryDirectory() as folder:
        shop = make(Path(folder) / "project")
        try:
            prepare(shop)
            with generators(shop, SHORT_S) as tally:
                time.sleep(3)
                act(shop)
            print(f"{name:<22} {tally.requests:>7} requests  {tally.failed:>5} failed")
        finally:
            take_away(shop)


def recreate(shop: Shop) -> None:
    shop.deploy_settings(strategy='"recreate"', watch="2s")
    shop.deployed("v1")


def by_compose(shop: Shop) -> None:
    shop.docker("image", "tag", "stockctl-testbed/shop:1", "stockctl-testbed/shop:latest")
    compose_up(shop)
    shop.set(VERSION="v1")


def rolling(shop: Shop) -> None:
    shop.deploy_settings(watch="2s")
    shop.deployed("v1")


@dataclass
class Times:
    """Seconds, one for each round."""

    overhead: list[float] = field(default_factory=list)
    rollback: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)
    ways: list[int] = field(default_factory=list)  # there and back, of a rollback


Enough = Callable[[Tally, Times], bool]


def one_round(shop: Shop, version: str, times: Times, line: Wire | None) -> Tally:
    """A deploy and the way back, under load."""
    with generators(shop, LONG_S) as tally:
        time.sleep(2)
        done = shop.to(version)
        assert done.code == 0, done.err
        steps = done.data["data"]["release"]["steps"]
        waits = sum(step["duration_s"] for step in steps if step["name"] in NOT_OURS)
        times.overhead.append(done.data["duration_s"] - waits)
        time.sleep(2)
        ways, began = line.ways if line else 0, time.monotonic()
        back = shop.back()
        times.command.append(time.monotonic() - began)
        times.ways.append(line.ways - ways if line else 0)
        assert back.code == 0, back.err
    assert tally.load is not None
    quick = [a.ended for a in tally.load.answers if a.version == version and a.kind != "slow"]
    times.rollback.append(max(quick) - began)
    return tally


def main() -> None:
    """Prints the figures; exits 1 when a request failed with `rolling`."""
    compared("docker compose up -d", by_compose, compose_up)
    compared("deploy, recreate", recreate, lambda shop: shop.deployed("v2"))
    compared("deploy, rolling", rolling, lambda shop: shop.deployed("v2"))
    here = measured("here", lambda total, _: total.requests >= REQUESTS)
    near = measured("over SSH", _rounds, ssh=True)
    away = measured(f"over SSH, {AWAY_S * 1000:.0f} ms each way", _rounds, ssh=True, delay_s=AWAY_S)
    failed = [why for tally in (here, near, away) for why in tally.why]
    if failed:
        print(json.dumps(failed[:10]))
        sys.exit(1)


def _rounds(_: Tally, times: Times) -> bool:
    return len(times.rollback) >= FAR_ROUNDS


def measured(name: str, enough: Enough, *, ssh: bool = False, delay_s: float = 0.0) -> Tally:
    """Rounds until there are enough of them; prints what came of it."""
    times, total, line = Times(), Tally(), None
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        shop = make(Path(folder) / "project")
        if ssh:
            sshd = stack.enter_context(serve_ssh(Path(folder) / "sshd"))
            line = stack.enter_context(wire(sshd.port, delay_s))
            live_there(shop, sshd, line.port)
        try:
            rolling(shop)
            while not enough(total, times):
                tally = one_round(shop, f"v{len(times.rollback) + 2}", times, line)
                total.requests += tally.requests
                total.failed += tally.failed
                total.why += tally.why
        finally:
            take_away(shop)
    rounds = len(times.rollback)
    print(f"{name}: {rounds} deploys, {rounds} rollbacks")
    print(f"  {total.requests} requests, {total.failed} failed")
    print(f"  warm rollback, command to last answer of the replaced one: {spread(times.rollback)}")
    print(f"  the rollback's command itself: {spread(times.command)}")
    if line is not None:
        print(f"  ways there and back of a rollback: {min(times.ways)} to {max(times.ways)}")
    print(f"  deploy beside image, start, health, watch: {spread(times.overhead)}")
    return total


def live_there(shop: Shop, sshd: Sshd, port: int) -> None:
    """The project lives on this machine as if it were another."""
    (sshd.folder / ".docker").symlink_to(Path.home() / ".docker")
    known = sshd.known_hosts.read_text().replace(f":{sshd.port} ", f":{port} ")
    (shop.root / "environments" / "known_hosts").write_text(known)
    host = f'[host]\nssh = "127.0.0.1:{port}"\nidentity_file = "{sshd.key}"\n'
    host += f'directory = "{sshd.folder / "there"}"\n\n'
    toml = shop.root / "environments" / "staging.toml"
    toml.write_text(toml.read_text().replace("[deploy]\n", f"{host}[deploy]\n"))


def spread(seconds: list[float]) -> str:
    """The best and the worst."""
    return f"{min(seconds):.2f} to {max(seconds):.2f} s"


if __name__ == "__main__":
    main()
