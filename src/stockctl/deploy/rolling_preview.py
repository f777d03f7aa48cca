"""For how long nobody would be served by a deploy with the strategy `rolling`."""

from __future__ import annotations

from stockctl.core.units import format_duration
from stockctl.deploy import handover
from stockctl.deploy.rollout import DeployPlan
from stockctl.deploy.site import Site
from stockctl.deploy.traffic import Traffic


def outage_ahead(site: Site, plan: DeployPlan) -> str:
    """Zero, but for the two cases in which a published port changes its holder."""
    if handover.needed(site):
        stop = format_duration(site.environment.deploy.stop_timeout)
        return (
            "once, when the proxy takes the port over from the running container: for as long"
            f" as that takes to stop, at most {stop}, and a container to start. What it was is"
            " measured and told"
        )
    if plan.previous is None:
        return "none: nothing serves yet"
    traffic = Traffic(site)
    if traffic.running() is not None and traffic.describe(plan.rendered) != traffic.described():
        return "a moment, while the proxy is replaced: its image, ports or networks changed"
    return "none"
