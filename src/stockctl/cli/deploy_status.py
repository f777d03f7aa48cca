"""`stockctl deploy status`: what is live, what runs, who gets the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stockctl.cli.deploy import app
from stockctl.cli.session import Result, Session
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.env.needs import RELEASES

if TYPE_CHECKING:
    from stockctl.deploy.release import Release
    from stockctl.system.postgres import Database


@verb(app, "status", example="stockctl deploy status prod", exits=(2, 3, 6))
def status(session: Session, name: str) -> Result:
    """Shows what is live, what runs, who is at work, and which migrations wait."""
    from stockctl.deploy.freeze import frozen
    from stockctl.deploy.gates import status_if_reachable
    from stockctl.deploy.overview.spare import spare_part
    from stockctl.deploy.standing import shares_of
    from stockctl.deploy.traffic import Traffic

    opened = open_environment(session, name, needs=RELEASES)
    with opened.site(looking=True) as site:
        live, containers, shares = site.releases.live(), site.containers(), shares_of(site)
        spare = spare_part(site)
        ledger, away = status_if_reachable(site), Traffic(site).maintenance()
    locked, freeze = opened.host.holder(opened.lock_file), frozen(opened.journal)
    pending = [entry.id for entry in ledger.pending] if ledger else None
    line = session.output.line
    line(f"live      {_named(live)}" if live else "live      nothing was deployed yet")
    width = max((len(container.service) for container in containers), default=0) + 2
    for container in containers:
        said = _container(container, live, shares, at_work=locked is not None)
        line(f"{container.service:<{max(10, width)}}{said}")
    line(f"pending   {_pending(pending, site.database)}")
    line(f"lock      {locked or 'free'}")
    if freeze:
        line(f"deploys   {freeze}", style="yellow")
    if away:
        line("traffic   maintenance: everybody gets 503 and a page", style="yellow")
    for said in (*spare.said, *(f"  {each.command}" for each in spare.advice)):
        line(said, style="yellow")
    data = {
        "live": live.to_json() if live else None,
        "previous": live.previous if live else None,
        "containers": [_container_data(c) for c in containers],
        "traffic": shares,
        **spare.data,
        "locked_by": locked,
        "frozen": freeze.to_json() if freeze else None,
        "maintenance": away is not None,
        "pending_migrations": pending,
    }
    return Result(data)


def _pending(pending: list[str] | None, database: Database | None) -> str:
    if pending is None:
        return "cannot be told" if database else "no database"
    return ", ".join(pending) or "nothing"


def _named(release: Release) -> str:
    return f"{release.id} ({release.version}), deployed by {release.who}"


def _container(container: Any, live: Release | None, shares: dict[str, int], at_work: bool) -> str:
    parts = [container.status, container.health or "", container.release or ""]
    text = " ".join(part for part in parts if part)
    served = container.release in shares
    if served:
        text = f"{text}  {shares[container.release]} % of the requests"
    if not container.release or (live and container.release == live.id):
        return text
    if live and container.web_port and not served:
        return f"{text}  no requests: {_spare(container, live)}"
    why = "another folder's stockctl deployed it"
    if live:
        why = "a deploy is at work" if at_work else "a deploy was interrupted"
    return f"{text}  (not the live release here: {why})"


def _spare(container: Any, live: Release) -> str:
    if container.release == live.previous:
        return "the way back"
    return "runs beside" if container.status == "running" else "kept"


def _container_data(container: Any) -> dict[str, Any]:
    return {
        "name": container.name,
        "service": container.service,
        "release": container.release,
        "image_id": container.image_id,
        "status": container.status,
        "health": container.health,
    }
