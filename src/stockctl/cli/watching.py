"""Showing what is watched, and acting on it: for `deploy watch` and for `deploy ENV`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stockctl.cli.session import Session
from stockctl.core.errors import Terminated

if TYPE_CHECKING:
    from stockctl.deploy.site import Site
    from stockctl.deploy.watching.judge import Judge, Reading
    from stockctl.deploy.watching.run import Watched


def watch_only(session: Session, site: Site, seconds: float) -> Watched:
    """On a terminal redrawn in place; else a line when something changes."""
    from stockctl.cli.redraw import redrawing
    from stockctl.cli.watch_view import screen
    from stockctl.deploy.watching.run import watch

    live, output, told = site.releases.live(), session.output, ""
    title = f"{live.id if live else 'nothing'} on {site.environment.name}"

    with redrawing(output) as draw:

        def show(judge: Judge, readings: tuple[Reading, ...], left_s: float) -> None:
            nonlocal told
            if output.animated and output.out.is_terminal:
                draw(screen(title, judge, readings, left_s))
                return
            broken = ", ".join(each.name for each in readings if each.broken) or "well"
            if broken != told:
                session.progress().say(f"{title}: {broken}")
                told = broken

        watched = watch(site, seconds, show)
    if not watched.reason:
        word = f"{watched.release.id} was well, {watched.looks} looks; {watched.ended}"
        output.line(word, style="green")
        if not watched.judged:
            said = (
                "there were too few requests, or no metrics, to say anything about errors and p95"
            )
            session.progress().warn(said)
    else:
        output.line(f"{watched.release.id}: {watched.reason}", style="bold red")
    return watched


def watch_and_withdraw(session: Session, site: Site, seconds: float) -> Watched:
    """Where all was well and the soak is over, the release before is stopped. Raises Unhealthy once
    it serves again, PersonNeeded where it does not. Interrupted while it only looks, it leaves the
    release as it is, and says so."""
    from stockctl.deploy.tidy import retire
    from stockctl.deploy.watching.run import withdraw, withdrawn

    try:
        watched = watch_only(session, site, seconds)
    except (KeyboardInterrupt, Terminated):
        again = f"stockctl deploy watch {site.environment.name} --rollback"
        session.progress().warn(f"the live release goes on serving, and nobody watches it: {again}")
        raise
    if watched.reason:
        raise withdrawn(watched, withdraw(site, watched))
    retire(site)
    return watched
