"""An engine that restarts is waited for: what it took away can only be brought back through it.

A new connection tells: an engine that is shutting down still answers on those it has, and takes no
new ones. Of the containers it starts again those that have a restart policy, before it answers.
"""

from __future__ import annotations

from collections.abc import Callable

from stockctl.core.errors import EngineUnavailable, StockctlError
from stockctl.core.units import format_duration
from stockctl.deploy.site import Site

BACK_S = 90.0  # it may give each container its time to stop, and then start all of them
POLL_S = 0.2


def through_restart(site: Site, cause: BaseException, act: Callable[[bool], None]) -> None:
    """Does it once the engine answers, and again where the engine went away meanwhile. `act` is
    told whether it was away, as far as that can be known: `cause` may say so, too.

    Raises EngineUnavailable when it does not come back in time, HostFailed for a machine that
    cannot be reached either, and what `act` raises.
    """
    away = gone(cause)
    deadline = site.clock.monotonic() + BACK_S
    while True:
        away = _await(site, deadline) or away
        try:
            act(away)
            return
        except StockctlError as error:
            # a program that it cut off in the middle says anything, or nothing
            lost = gone(error) or not site.engine.answers()
            if not lost or site.clock.monotonic() > deadline:
                raise
            away = True


def gone(error: BaseException) -> bool:
    """Whether it says that the engine does not answer; Docker's programs say it in their words."""
    details = error.details if isinstance(error, StockctlError) else ""
    return isinstance(error, EngineUnavailable) or "docker daemon running" in details


def _await(site: Site, deadline: float) -> bool:
    """Whether it was away."""
    if site.engine.answers():
        return False
    began = site.clock.monotonic()
    with site.progress.step("engine") as step:
        while not site.engine.answers():
            site.host.exists(site.directory)  # raises where the line to the machine is cut
            waited = site.clock.monotonic() - began
            if site.clock.monotonic() > deadline:
                raise EngineUnavailable(
                    f"the Docker engine does not answer, for {format_duration(waited)} now"
                )
            site.clock.sleep(POLL_S)
        step.detail = f"was away for {format_duration(site.clock.monotonic() - began)}"
    return True
