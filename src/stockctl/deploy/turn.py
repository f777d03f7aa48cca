"""One deploy or rollback of an environment at a time: whose turn it is, and waiting for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from stockctl.core.errors import Locked
from stockctl.deploy.freeze import require_thawed
from stockctl.deploy.outlast import settle
from stockctl.deploy.site import Site

POLL_S = 0.5


@contextmanager
def turn(site: Site, command: str, wait_s: float = 0.0) -> Iterator[None]:
    """The block runs under the environment's lock, as one operation of the journal.

    Waits up to `wait_s` seconds for who holds it. Raises Locked, Frozen.
    """
    with ExitStack() as held:
        _take(site, command, wait_s, held)
        require_thawed(site.journal)
        settle(site)
        held.enter_context(site.journal.operation(command))
        yield


def _take(site: Site, command: str, wait_s: float, held: ExitStack) -> None:
    deadline = site.clock.monotonic() + wait_s
    while True:
        try:
            held.enter_context(site.host.lock(site.lock_file, site.journal.holder(command)))
            return
        except Locked:
            if site.clock.monotonic() >= deadline:
                raise
        wait_until_free(site, max(0.0, deadline - site.clock.monotonic()))


def wait_until_free(site: Site, wait_s: float) -> None:
    """Until nobody holds the lock, or the time is over; says once for whom it waits. It takes
    nothing: whoever plans or asks a person meanwhile keeps nobody out."""
    deadline = site.clock.monotonic() + wait_s
    told = None
    while (holder := site.host.holder(site.lock_file)) is not None:
        if site.clock.monotonic() >= deadline:
            return
        if holder != told:
            site.progress.say(f"waiting for {holder}")
            told = holder
        site.clock.sleep(POLL_S)
