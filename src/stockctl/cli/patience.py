"""`--wait`: waiting for one's turn, with a plan that is still true when it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from stockctl.cli.session import Result
from stockctl.core.errors import PlanOutdated, UsageError
from stockctl.core.units import parse_duration

if TYPE_CHECKING:
    from stockctl.deploy.site import Site

Wait = Annotated[
    str | None,
    typer.Option("--wait", metavar="D", help="Wait up to that long (`10m`) for one's turn."),
]


def patiently(site: Site, wait: str | None, attempt: Callable[[float], Result]) -> Result:
    """Calls `attempt` with the seconds that are left, once it is our turn: planned, shown and
    confirmed anew where somebody was faster. Raises UsageError, Locked, PlanOutdated."""
    from stockctl.deploy.turn import wait_until_free

    deadline = site.clock.monotonic() + _seconds(wait)
    while True:
        left_s = max(0.0, deadline - site.clock.monotonic())
        if left_s:
            wait_until_free(site, left_s)
        try:
            return attempt(max(0.0, deadline - site.clock.monotonic()))
        except PlanOutdated as outdated:
            if site.clock.monotonic() >= deadline:
                raise
            site.progress.say(f"{outdated}: a new plan")


def _seconds(wait: str | None) -> float:
    try:
        return parse_duration(wait) if wait else 0.0
    except ValueError as error:
        raise UsageError(f"--wait: {error}") from None
