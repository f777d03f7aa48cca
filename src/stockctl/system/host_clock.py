"""What time it is on the machine that an environment lives on: the one clock of its records.

Who deploys, who makes a backup and who asks a gate may sit at three machines; what they write down
and compare is by the host's clock, and theirs may be wrong.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Lock

from stockctl.core.clock import Clock
from stockctl.core.errors import StockctlError, ToolFailed
from stockctl.system.host import Host

_SAME_S = 2.0  # `date` tells whole seconds, and the answer takes its time


class HostClock:
    """Asks the host once, and goes on by our own clock from there. Where the host does not answer
    it is our own alone: whoever needs more of the host than the time is told why."""

    def __init__(self, host: Host, own: Clock) -> None:
        self._host = host
        self._own = own
        self._ahead: timedelta | None = None
        self._mutex = Lock()

    def now(self) -> datetime:
        with self._mutex:
            if self._ahead is None:
                try:
                    self._ahead = timedelta(seconds=ahead_s(self._host, self._own))
                except StockctlError:
                    self._ahead = timedelta()
        return self._own.now() + self._ahead

    def monotonic(self) -> float:
        return self._own.monotonic()

    def sleep(self, seconds: float) -> None:
        self._own.sleep(seconds)


def ahead_s(host: Host, own: Clock) -> float:
    """By how many seconds the host's clock is ahead of ours; 0 where no difference is to be seen.
    Raises HostFailed, ToolFailed."""
    before = own.now()
    said = host.ask("date +%s").strip()
    after = own.now()
    if not said.isdecimal():
        raise ToolFailed(f"{host.name} does not say what time it is: {said[:80]!r}")
    try:
        there = datetime.fromtimestamp(int(said), UTC)
    except (ValueError, OverflowError, OSError):
        raise ToolFailed(f"{host.name} says an impossible time: {said[:80]}") from None
    found = (there - after).total_seconds() + 0.5  # in the middle of its second
    unsure = (after - before).total_seconds() / 2
    found += unsure
    return 0.0 if abs(found) <= _SAME_S + unsure else found
