"""A lock in a store on another machine: a note that is renewed, and counts only while it is fresh.

Put your own note, then look for others: whoever looks last sees both, so two never both believe
to be alone. As long as a note was fresh all the time nobody can have come in, so that renewing it
needs no look: what lies there beside it is of somebody who will see ours and step back. That takes
a store that shows what was written to whoever looks afterwards (S3 does since 2020, a file system
does) and no conditional writes, which not every server has. Ages are by the store's own clock;
ours may be wrong by years.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol

from stockctl.core.errors import Locked, StockctlError, StoreFailed
from stockctl.core.units import format_duration, format_instant
from stockctl.system.host import Holder

LEASE_S = 60.0
_TRIES = 4
_GRAIN_S = 1.0  # of the times that a store tells
_EAGER_S = 3.0  # somebody who came as late as we did may step back as we do


class Shelf(Protocol):
    """Where notes lie, hidden from `names`. Every call may raise StoreFailed."""

    def place(self, name: str, note: bytes) -> None:
        """New, or anew."""

    def ages(self, prefix: str) -> Mapping[str, float]:
        """Seconds since each was placed."""

    def note(self, name: str) -> bytes:
        """What one says; empty when it is gone."""

    def take_away(self, name: str) -> None:
        """Gone, and fine when it was not there."""


def _awake_s() -> float:
    """A clock that counts while the machine is suspended, too (clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """One note of ours on the shelf, renewed beside the work."""

    def __init__(self, shelf: Shelf, environment: str, note: bytes, lease_s: float) -> None:
        self._shelf, self._note, self._lease_s = shelf, note, lease_s
        self._prefix = f".{environment}.lock."
        self._name = self._prefix + secrets.token_hex(8)
        self._renewed = 0.0
        self._lost = ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def take(self, where: str) -> None:
        """Raises Locked, naming the holder."""
        for attempt in range(_TRIES):
            began = _awake_s()
            self._shelf.place(self._name, self._note)
            others = self._others()
            if not others:
                self._renewed = began
                self._thread.start()
                return
            self._shelf.take_away(self._name)
            if min(others.values()) > _EAGER_S or attempt == _TRIES - 1:
                break
            time.sleep(0.1 + secrets.randbelow(900) / 1000)
        raise self._held(min(others, key=lambda each: others[each]), where)

    def require(self) -> None:
        """Before anything that cannot be taken back. Raises StoreFailed when it is not ours any
        more: we slept, or the store did not answer for too long."""
        if not self._lost and _awake_s() - self._renewed > self._lease_s * 0.75:
            self._lost = f"it could not be renewed for {format_duration(self._lease_s * 0.75)}"
        if self._lost:
            raise StoreFailed(
                f"the lock in the store is lost: {self._lost}",
                hint="Nothing more is changed. Somebody else may be at work: look, then run again.",
            )

    def give_back(self) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(StockctlError):  # then it ends by itself
            self._shelf.take_away(self._name)

    def _renew(self) -> None:
        while not self._done.wait(self._lease_s / 6):
            began = _awake_s()
            with suppress(StockctlError):  # also HostFailed, where a line is opened anew
                self.require()  # a note that has expired is not put there again
                self._shelf.place(self._name, self._note)
                if _awake_s() - self._renewed > self._lease_s:
                    self._lost = "it was renewed too late"
                else:
                    self._renewed = began
            if self._lost:
                return

    def _others(self) -> dict[str, float]:
        """The fresh ones; what has expired is taken away by whoever comes by."""
        ages = self._shelf.ages(self._prefix)
        for name, age in ages.items():
            if age > 10 * self._lease_s and name != self._name:
                self._shelf.take_away(name)
        fresh_s = self._lease_s + _GRAIN_S
        return {n: age for n, age in ages.items() if n != self._name and age < fresh_s}

    def _held(self, name: str, where: str) -> Locked:
        said = self._shelf.note(name).decode(errors="replace") or "another stockctl"
        return Locked(
            f"the backup store {where} is locked by {said}",
            hint="Wait for it to end and run the command again. Of one that was killed it is free"
            f" after {format_duration(self._lease_s)}.",
            retry_after_s=30,
        )


class Leases:
    """Those that this process holds in one store."""

    def __init__(self, shelf: Shelf, where: str, lease_s: float = LEASE_S) -> None:
        self._shelf, self._where, self._lease_s = shelf, where, lease_s
        self._held: list[Lease] = []

    @contextmanager
    def hold(self, environment: str, holder: Holder) -> Iterator[None]:
        note = f"{holder.who} (pid {os.getpid()}), {holder.doing} since"
        since = format_instant(holder.since)
        lease = Lease(self._shelf, environment, f"{note} {since}".encode(), self._lease_s)
        lease.take(self._where)
        self._held.append(lease)
        try:
            yield
            lease.require()
        finally:
            self._held.remove(lease)
            lease.give_back()

    def require(self) -> None:
        """Before anything that cannot be taken back."""
        for lease in self._held:
            lease.require()
