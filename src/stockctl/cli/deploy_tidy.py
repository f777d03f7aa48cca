"""`stockctl deploy tidy`."""

from __future__ import annotations

from stockctl.cli.deploy import app
from stockctl.cli.guard import Plan
from stockctl.cli.patience import Wait, patiently
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.env.needs import RELEASES


@verb(app, "tidy", example="stockctl deploy tidy prod --plan", exits=(2, 3, 4, 5, 6))
def tidy(session: Session, name: str, plan: Plan = False, wait: Wait = None) -> Result:
    """Stops the release before once its soak is over; removes what is beyond `deploy.keep`.

    Also what a killed deploy left; a proxy that was killed is started, and renewed certificates
    are loaded. Every deploy does the same; this is for when there is none.
    """
    from stockctl.deploy.tidy import facts, plan_tidy, tidy_up

    opened = open_environment(session, name, needs=RELEASES, changes=True)
    with opened.site() as site:

        def attempt(left_s: float) -> Result:
            chores = plan_tidy(facts(site)) if plan else tidy_up(site, left_s)
            for chore in chores:
                session.output.line(f"{chore.act:<7} {chore.release}  {chore.reason}")
            if not chores:
                session.output.line("nothing to do")
            done = [{"release": c.release, "act": c.act, "reason": c.reason} for c in chores]
            return Result({"planned" if plan else "done": done})

        return patiently(site, wait, attempt)
