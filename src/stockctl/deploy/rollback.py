"""`stockctl deploy rollback`: code and configuration of an earlier release, from the host alone.

Neither the compose files, nor the env file, nor a registry is needed. The database stays as it is:
a deploy applied only what the previous release tolerates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stockctl.backup.stores.base import Store
from stockctl.core.errors import Refused, StockctlError, Unhealthy, UsageError
from stockctl.db.plan import RollbackPlan as SchemaBack
from stockctl.deploy import schema, switch
from stockctl.deploy.back_up import back_up_step
from stockctl.deploy.events import Happening, ask, reason, tell
from stockctl.deploy.outlast import settle
from stockctl.deploy.release import Records, Release, ReleaseState
from stockctl.deploy.rolling import roll_back
from stockctl.deploy.site import Site
from stockctl.deploy.standing import serving_of, well
from stockctl.deploy.tidy import tidy
from stockctl.deploy.turn import turn
from stockctl.env.event import Event

if TYPE_CHECKING:  # what takes a schema back is imported when one is
    from stockctl.db.runner import Reverted


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """From what to what. `running` is None where nothing of ours runs; `live` is what the record
    says, which differs from it after a deploy was killed. `schema`: what to take back before."""

    target: Release
    running: Release | None
    live: Release
    schema: SchemaBack | None = None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What came of it; `switch_s` is from the command to the first healthy answer."""

    release: Release
    replaced: Release | None
    switch_s: float
    reverted: tuple[Reverted, ...] = ()


@dataclass(frozen=True, slots=True)
class WithDatabase:
    """How the schema goes back: with a backup in this store first, or none; whether a down script
    may drop what holds rows."""

    store: Store
    backup: bool
    allow_data_loss: bool


def plan_rollback(site: Site, to: str | None, *, with_database: bool = False) -> RollbackPlan:
    """Chooses the release. Raises Refused where there is none to go back to.

    Where a deploy was killed half-way, the containers belong to a release that never went live:
    then `back` means the recorded live one.
    """
    _ = site.service  # nothing to deploy is the better answer where there is nothing
    settle(site)
    standing, records = site.releases.standing(), site.releases.records()
    if standing is None:
        raise Refused(
            f"nothing was deployed to {site.environment.name} yet: there is no way back",
            hint=f"stockctl deploy {site.environment.name}",
        )
    live, running = records.get(standing.release), serving_of(site, records)
    if to is not None:
        target = _named(records, to)
    elif running is None or running.id != live.id:
        target = live
    elif live.previous is not None and live.previous in records.ids():
        target = records.get(live.previous)
    else:
        raise Refused(
            f"{live.id} is the oldest release that is kept: there is none before it",
            hint=f"stockctl deploy history {site.environment.name}",
        )
    serves = running is not None and running.id == target.id == live.id
    if serves and (not site.rolling or well(site, target)):  # its proxy may be gone
        raise Refused(f"{target.id} serves already")
    if with_database:
        return RollbackPlan(target, running, live, schema.plan_way_back(site, target))
    _check_schema(site, target)
    return RollbackPlan(target, running, live)


def rollback(
    site: Site, plan: RollbackPlan, wait_s: float = 0.0, schema_back: WithDatabase | None = None
) -> RolledBack:
    """Executes it when it is our turn. On failure what ran before is put back; the schema, where
    it was taken back already, stays so, and the error says so."""
    with turn(site, f"deploy rollback to {plan.target.id}", wait_s):
        site.require_live(plan.live)
        ask(site, Happening(Event.BEFORE_ROLLBACK, plan.target, plan.running))
        try:
            done = _go_back(site, plan, schema_back)
        except BaseException as error:
            tell(site, Happening(Event.FAILED, plan.target, plan.running, reason(error)))
            raise
        tell(site, Happening(Event.AFTER_ROLLBACK, plan.target, plan.running))
    return done


def _go_back(site: Site, plan: RollbackPlan, schema_back: WithDatabase | None) -> RolledBack:
    reverted = _take_schema_back(site, plan, schema_back)
    started = site.clock.monotonic()
    try:
        if site.rolling:
            roll_back(site, plan.target, plan.running)
            tidy(site, only_orphans=True)
        else:
            _replace(site, plan)
    except BaseException as error:
        _note_schema(error, reverted)
        raise
    switch_s = site.clock.monotonic() - started
    return RolledBack(plan.target, plan.running, switch_s, reverted)


def _replace(site: Site, plan: RollbackPlan) -> None:
    """With the strategy `recreate`. On failure what ran before is put back."""
    try:
        switch.put_in_place(site, plan.target, plan.running, known=True)
        site.releases.set_live(plan.target.id, plan.running, site.clock.now())
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


def _take_schema_back(
    site: Site, plan: RollbackPlan, how: WithDatabase | None
) -> tuple[Reverted, ...]:
    """Before the code: should a script fail, what serves goes on serving."""
    settings = site.environment.database
    if plan.schema is None or how is None or site.database is None or settings is None:
        return ()
    from stockctl.db.runner import rollback as db_rollback

    if how.backup:
        label = f"before rollback to {plan.target.id}"
        back_up_step(site.environment, site.database, how.store, site.journal, site.progress, label)
    with site.progress.step("schema") as step:
        done = db_rollback(
            site.database,
            plan.schema,
            progress=site.progress,
            allow_data_loss=how.allow_data_loss,
            lock_timeout_s=settings.lock_timeout,
            statement_timeout_s=settings.statement_timeout,
            lock_retry_s=settings.lock_retry,
        )
        step.detail = f"{len(done)} taken back"
    return done


def _note_schema(error: BaseException, reverted: tuple[Reverted, ...]) -> None:
    """The code comes back after a failure, the schema does not: whoever reads it has to know."""
    if reverted:
        names = ", ".join(each.id for each in reverted)
        error.add_note(
            f"the schema stays taken back: {names}; forward again: stockctl db migrate ENV"
        )


def _named(records: Records, release_id: str) -> Release:
    good = [r for r in records.all() if r.state is ReleaseState.FINISHED]
    for release in good:
        if release.id == release_id:
            return release
    names = ", ".join(release.id for release in good)
    raise UsageError(f"no release {release_id} to go back to", hint=f"There are: {names}.")


def _check_schema(site: Site, target: Release) -> None:
    """A contract migration takes away what older code needs. Raises Refused with the ways out."""
    try:
        status = schema.recorded(site)
    except StockctlError as error:
        site.progress.warn(f"could not look for contract migrations: {error}")
        return
    if status is None:
        if site.database is not None:
            site.progress.warn("the database does not answer: contract migrations were not checked")
        return
    after = schema.in_the_way(status, target)
    if after:
        name = site.environment.name
        raise Refused(
            f"{target.id} cannot run on this schema: {', '.join(entry.id for entry in after)} came"
            " after it and took away what it needs",
            hint="Deploy forward, or take the schema back as well, what was written since stays:\n"
            f"stockctl deploy rollback {name} --to {target.id} --with-database\n"
            f"or restore a backup from before: stockctl backup list {name}",
        )
