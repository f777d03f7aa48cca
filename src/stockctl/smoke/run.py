"""Sends the declared checks: each as soon as what it waits for is over, the rest in parallel."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from stockctl.core.errors import ConfigurationError, Unhealthy
from stockctl.core.progress import Progress
from stockctl.core.report import Report
from stockctl.env.smoke_check import SmokeCheck, prerequisites
from stockctl.smoke.report import Outcome, outcome, report
from stockctl.smoke.suite import Exchange, Verdict, build, judge
from stockctl.smoke.template import Value
from stockctl.system.http import Request, Response, send

AT_ONCE = 32  # checks; each may repeat its request in parallel as well
Send = Callable[[Request, float], Response]


def _send(request: Request, timeout_s: float) -> Response:
    return send(request, timeout_s=timeout_s)


def smoke(checks: Sequence[SmokeCheck], base_url: str, progress: Progress) -> Report:
    """Runs every check, also after one failed. Raises ConfigurationError where there is none:
    testing nothing must not look like success."""
    return report(run(checks, base_url, progress))


def require(report: Report, what: str) -> None:
    """Raises Unhealthy, naming each check that failed."""
    if not report.ok:
        lines = [f"{check.name}: {check.detail}" for check in report.failed]
        raise Unhealthy(
            f"{what}: {len(lines)} of {len(report.checks)} smoke checks failed",
            details="\n".join(lines),
        )


@dataclass
class _State:
    """What is known while the checks run; only the thread that called `run` changes it."""

    waiting: dict[str, SmokeCheck]
    needs: dict[str, frozenset[str]]
    values: dict[str, Value]
    running: set[str] = field(default_factory=set)
    done: dict[str, Outcome] = field(default_factory=dict)

    def ready(self) -> list[SmokeCheck]:
        room = AT_ONCE - len(self.running)
        free = [c for c in self.waiting.values() if self.needs[c.name] <= self.done.keys()]
        return free[:room]

    def lacking(self, check: SmokeCheck) -> str:
        """Why it cannot be sent, if it cannot."""
        missing = sorted(check.uses() - self.values.keys())
        return f"not sent: {{{missing[0]}}} was not captured" if missing else ""


def run(
    checks: Sequence[SmokeCheck], base_url: str, progress: Progress, send: Send = _send
) -> tuple[Outcome, ...]:
    """The same as `smoke`, with what was sent and what came; in the order of `checks`.

    The threads are daemons: Ctrl-C must not wait for a server that hangs.
    """
    if not checks:
        raise ConfigurationError(
            "no smoke checks are declared",
            hint="Add [[smoke]] with name and path to the TOML file.",
        )
    run_id = uuid.uuid4().hex[:10]
    state = _State({c.name: c for c in checks}, _needs(checks), {"run": run_id})
    over: SimpleQueue[tuple[Outcome, Verdict]] = SimpleQueue()
    while state.waiting or state.running:
        ready = state.ready()
        for check in ready:
            del state.waiting[check.name]
            reason = state.lacking(check)
            if reason:
                _told(state, _not_sent(check, reason, state), progress)
                continue
            state.running.add(check.name)
            arguments = (check, base_url, dict(state.values), send, over)
            threading.Thread(target=_ask, args=arguments, daemon=True).start()
        if state.running and not (ready and state.ready()):
            ended, verdict = over.get()
            state.running.discard(ended.check.name)
            state.values.update(verdict.captured)
            _told(state, ended, progress)
    return tuple(state.done[check.name] for check in checks)


def _needs(checks: Sequence[SmokeCheck]) -> dict[str, frozenset[str]]:
    """Only of those that are run: a suite of its own may leave out what stands in `after`."""
    names = {check.name for check in checks}
    return {name: needs & names for name, needs in prerequisites(checks).items()}


def _told(state: _State, ended: Outcome, progress: Progress) -> None:
    state.done[ended.check.name] = ended
    word = ended.detail.splitlines()[0] if ended.detail else f"{ended.status}"
    ok = ended.ok or not ended.check.critical
    progress.ended(f"smoke: {ended.check.name}", ended.duration_s, ok=ok, detail=word)


def _not_sent(check: SmokeCheck, reason: str, state: _State) -> Outcome:
    """There is nothing to clean up where nothing was made; and what waited for a check that was
    skipped is skipped as well. Else it is a failure: what it would have tested is not known."""
    makers = [done for name, done in state.done.items() if name in state.needs[check.name]]
    skipped = check.cleanup or any(m.skipped for m in makers if set(m.check.capture) & check.uses())
    return Outcome(check, ok=skipped, skipped=skipped, attempts=0, reason=reason)


def _ask(
    check: SmokeCheck,
    base_url: str,
    values: dict[str, Value],
    send: Send,
    over: SimpleQueue[tuple[Outcome, Verdict]],
) -> None:
    """On a thread of its own. A mistake of ours must not leave `run` waiting for ever."""
    started = time.monotonic()
    try:
        verdict, attempts, slowest = _attempts(check, base_url, values, send)
        ended = outcome(check, verdict, slowest, attempts, {**values, **verdict.captured})
    except Exception as error:
        verdict = Verdict("")
        reason = f"could not be asked: {type(error).__name__}: {error}"
        ended = Outcome(check, ok=False, duration_s=time.monotonic() - started, reason=reason)
    over.put((ended, verdict))


def _attempts(
    check: SmokeCheck, base_url: str, values: dict[str, Value], send: Send
) -> tuple[Verdict, int, float]:
    """The verdict, after how many attempts, and the slowest answer of the last one in seconds."""
    attempt = 1
    while True:
        exchanges = _exchanges(check, base_url, values, send)
        verdict = judge(check, exchanges, values)
        if verdict.ok or attempt > check.retries:
            return verdict, attempt, max(each.answer.duration_s for each in exchanges)
        attempt += 1
        time.sleep(check.retry_delay)


def _exchanges(
    check: SmokeCheck, base_url: str, values: dict[str, Value], send: Send
) -> list[Exchange]:
    def one(number: int) -> Exchange:
        request = build(check, base_url, {**values, "n": number})
        return Exchange(request, send(request, check.timeout))

    return _at_once(one, check.repeat, min(check.parallel, check.repeat))


def _at_once(one: Callable[[int], Exchange], count: int, width: int) -> list[Exchange]:
    """`one(1)` to `one(count)`, at most `width` at a time; the first error of one is raised."""
    if width == 1:
        return [one(number) for number in range(1, count + 1)]
    numbers = iter(range(1, count + 1))
    results: SimpleQueue[tuple[int, Exchange | Exception]] = SimpleQueue()
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results.put((number, one(number)))
            except Exception as error:
                results.put((number, error))

    for _ in range(width):
        threading.Thread(target=work, daemon=True).start()
    found = dict(results.get() for _ in range(count))
    wrong = next((each for each in found.values() if isinstance(each, Exception)), None)
    if wrong is not None:
        raise wrong
    return [each for _, each in sorted(found.items()) if isinstance(each, Exchange)]
