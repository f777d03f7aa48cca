"""`stockctl deploy rollback`: code and configuration of an earlier release, from the host alone.

Neither the compose files, nor the env file, nor a registry is needed. The database stays as it is:
a deploy applied only what the previous release tolerates.
"""

from __future__ import annotations

from dataclasses import dataclass

from stockctl.core.errors import DatabaseFailed, Refused, StockctlError, Unhealthy, UsageError
from stockctl.db.ledger import State
from stockctl.db.migration import Phase
from stockctl.deploy import switch
from stockctl.deploy.gates import status_if_reachable
from stockctl.deploy.health import wait_healthy
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.site import Site
from stockctl.deploy.turn import turn


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """From what to what. `running` is None where nothing of ours runs; `live` is what the record
    says, which differs from it after a deploy was killed."""

    target: Release
    running: Release | None
    live: Release


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What came of it; `switch_s` is from the command to the first healthy answer."""

    release: Release
    replaced: Release | None
    switch_s: float


def plan_rollback(site: Site, to: str | None) -> RollbackPlan:
    """Chooses the release. Raises Refused where there is none to go back to.

    Where a deploy was killed half-way, the containers belong to a release that never went live:
    then `back` means the recorded live one.
    """
    _ = site.service  # nothing to deploy is the better answer where there is nothing
    live = site.releases.live()
    if live is None:
        raise Refused(
            f"nothing was deployed to {site.environment.name} yet: there is no way back",
            hint=f"stockctl deploy {site.environment.name}",
        )
    running = _running(site)
    if to is not None:
        target = _named(site, to)
    elif running is None or running.id != live.id:
        target = live
    elif live.previous is not None and live.previous in site.releases.ids():
        target = site.releases.get(live.previous)
    else:
        raise Refused(
            f"{live.id} is the oldest release that is kept: there is none before it",
            hint=f"stockctl deploy history {site.environment.name}",
        )
    if running is not None and running.id == target.id and target.id == live.id:
        raise Refused(f"{target.id} serves already")
    _refuse_past_contract(site, target)
    return RollbackPlan(target, running, live)


def rollback(site: Site, plan: RollbackPlan, wait_s: float = 0.0) -> RolledBack:
    """Executes it when it is our turn. On failure what ran before is put back."""
    command = f"deploy rollback to {plan.target.id}"
    started = site.clock.monotonic()
    with turn(site, command, wait_s):
        site.require_live(plan.live)
        try:
            with site.progress.step("replace") as step:
                switch.replace(site, plan.target)
                step.detail = f"{plan.running.id if plan.running else '?'} → {plan.target.id}"
            with site.progress.step("healthy"):
                wait_healthy(site, plan.target, known=True)
            site.releases.set_live(plan.target.id)
        except BaseException as error:
            committed = site.is_live(plan.target.id) and plan.live.id != plan.target.id
            if plan.running is not None and not committed:
                switch.put_back(site, plan.target, plan.running, error)
                if isinstance(error, StockctlError):
                    raise Unhealthy(
                        f"{plan.target.id} does not serve, {plan.running.id} was put back:"
                        f" {error.message}",
                        details=error.details,
                    ) from error
            raise
        switch_s = site.clock.monotonic() - started
    return RolledBack(plan.target, plan.running, switch_s)


def _running(site: Site) -> Release | None:
    """The release whose container is there, as its label says. One that has ended counts too:
    whoever wants to go back from a release that crashed does not want it again."""
    ids = site.releases.ids()
    labels = [c.release for c in site.released_containers()]
    known = [label for label in labels if label in ids]
    return site.releases.get(known[0]) if known and known[0] else None


def _named(site: Site, release_id: str) -> Release:
    good = [r for r in site.releases.all() if r.state is ReleaseState.FINISHED]
    for release in good:
        if release.id == release_id:
            return release
    names = ", ".join(release.id for release in good)
    raise UsageError(f"no release {release_id} to go back to", hint=f"There are: {names}.")


def _refuse_past_contract(site: Site, target: Release) -> None:
    """A contract migration takes away what older code needs. Raises Refused with the ways out."""
    try:
        status = status_if_reachable(site)
    except (DatabaseFailed, StockctlError) as error:
        site.progress.warn(f"could not look for contract migrations: {error}")
        return
    if status is None:
        if site.database is not None:
            site.progress.warn("the database does not answer: contract migrations were not checked")
        return
    after = [
        entry.id
        for entry in status.entries
        if entry.state is not State.PENDING
        and entry.phase is Phase.CONTRACT
        and entry.applied_at is not None
        and entry.applied_at > target.created_at
    ]
    if after:
        raise Refused(
            f"{target.id} cannot run on this schema: {', '.join(after)} came after it and took"
            " away what it needs",
            hint=f"Deploy forward, or restore a backup from before:"
            f" stockctl backup list {site.environment.name}",
        )
