"""A lock that cannot be had now may be had in a moment.

A migration that waits for a lock keeps everybody behind it waiting as well
(https://www.postgresql.org/docs/current/explicit-locking.html): so it waits shortly, gives way
for a moment, and begins again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from stockctl.core.clock import Clock
from stockctl.core.errors import MigrationFailed
from stockctl.core.progress import Progress
from stockctl.core.units import format_duration
from stockctl.db.blockers import Blocker, Watch, listed

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0
_FOR_A_LOCK = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


@dataclass(frozen=True, slots=True)
class Patience:
    """Until `deadline_s` have passed; the pause before try n is a part of `pause_s(n)`."""

    deadline_s: float
    clock: Clock
    progress: Progress
    watch: Watch | None
    chance: Callable[[], float] = random.random

    def insist(self, what: str, attempt: Callable[[], None]) -> None:
        """Runs `attempt`, which leaves nothing behind when it raises (unless the error says
        `dirty`), until it has its locks.

        Raises what it raises; after the deadline its MigrationFailed, with those who hold the lock.
        """
        started = self.clock.monotonic()
        tries = 0
        while True:
            try:
                return attempt()
            except MigrationFailed as error:
                if error.dirty or not isinstance(error.__cause__, _FOR_A_LOCK):
                    raise
                tries += 1
                waited_s = self.clock.monotonic() - started
                pause_s = self._pause_s(tries)
                if waited_s + pause_s > self.deadline_s:
                    raise self._given_up(error, tries, waited_s) from error.__cause__
            self.progress.say(
                f"  {what} waits for a lock{held_by(self._seen)};"
                f" try {tries + 1} in {format_duration(pause_s)}"
            )
            if self.watch:
                self.watch.get_ready()
            self.clock.sleep(pause_s)

    @property
    def _seen(self) -> tuple[Blocker, ...]:
        return self.watch.seen if self.watch else ()

    def _pause_s(self, tries: int) -> float:
        """Twice as long each time; at least half of it, so that two who met do not meet again."""
        longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (tries - 1))
        return longest * (0.5 + 0.5 * self.chance())

    def _given_up(self, error: MigrationFailed, tries: int, waited_s: float) -> MigrationFailed:
        blockers = self._seen
        error.details = "\n".join(filter(None, (error.details, listed(blockers))))
        if tries > 1:
            error.message += f" ({tries} tries in {format_duration(waited_s)})"
        if blockers:
            error.hint = (
                "Wait until they are done or end them: SELECT pg_terminate_backend(PID)."
                " Then run the command again. database.lock_retry is how long is tried."
            )
        return error


def held_by(blockers: Sequence[Blocker]) -> str:
    """`, held by …` in a line about a wait."""
    if not blockers:
        return ""
    first, more = blockers[0], len(blockers) - 1
    others = f" and {more} more" if more else ""
    return f", held by {first.application} (process {first.pid}){others}"
