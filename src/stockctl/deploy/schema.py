"""The schema and the releases: forward with a deploy, and what that means for the way back.

A deploy applies `expand` migrations only, which the release before tolerates. A `contract` one
takes away what older releases need: which release can do without is known, because it recorded the
contract migrations that waited when it was deployed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stockctl.backup.stores.base import Store
from stockctl.core.errors import DatabaseUnreachable, Refused
from stockctl.core.units import format_duration
from stockctl.db.ledger import Entry, Status, read_status
from stockctl.db.migration import Migration, Phase
from stockctl.db.plan import MigratePlan, RollbackPlan, plan_migrate, plan_rollback
from stockctl.deploy.back_up import back_up_step
from stockctl.deploy.gates import migrations_of
from stockctl.deploy.release import Release, ReleaseState
from stockctl.deploy.site import Site
from stockctl.deploy.turn import turn

if TYPE_CHECKING:  # a rollback only looks
    from stockctl.db.runner import Applied


def expand_plan(site: Site) -> MigratePlan | None:
    """What a deploy would apply; None without a database or migrations."""
    migrations = migrations_of(site)
    if site.database is None or not migrations:
        return None
    status = read_status(site.database, migrations)
    return plan_migrate(status, migrations, to=None, phase=Phase.EXPAND)


def prepare(site: Site, store: Store, release: Release, *, backup: bool) -> Release:
    """Backup, then the expand migrations: the previous release tolerates both."""
    if site.database is None:
        return release
    if backup:
        label = f"before {release.id}"
        back_up_step(site.environment, site.database, store, site.journal, site.progress, label)
    todo = expand_plan(site)
    if todo is None:
        return release
    with site.progress.step("migrate") as step:
        applied = _apply(site, todo)
        step.detail = f"{len(applied)} applied" if applied else "nothing to do"
    head = read_status(site.database, migrations_of(site)).head
    ids = tuple(each.id for each in applied)
    waiting = tuple(each.id for each in todo.waiting)
    return replace(release, schema_head=head, migrations=ids, waiting=waiting)


def _apply(site: Site, plan: MigratePlan) -> tuple[Applied, ...]:
    from stockctl.db.runner import migrate

    settings = site.environment.database
    assert site.database is not None and settings is not None
    return migrate(
        site.database,
        plan,
        progress=site.progress,
        lock_timeout_s=settings.lock_timeout,
        statement_timeout_s=settings.statement_timeout,
        lock_retry_s=settings.lock_retry,
    )


# ------------------------------------------------------------------ the way back


def recorded(site: Site) -> Status | None:
    """The ledger as the database has it, whatever is checked out here; None where it does not
    answer or there is none. Raises DatabaseFailed."""
    if site.database is None:
        return None
    try:
        return read_status(site.database, ())
    except DatabaseUnreachable:
        return None


def in_the_way(status: Status, target: Release) -> tuple[Entry, ...]:
    """The contract migrations that were applied after a release was made and that it did not
    expect, in the order in which they were applied."""
    return tuple(
        entry
        for entry in status.applied
        if entry.phase is Phase.CONTRACT
        and entry.applied_at is not None
        and entry.applied_at > target.created_at
        and not target.expects(entry.id)
    )


def plan_way_back(site: Site, target: Release) -> RollbackPlan | None:
    """The down scripts that open the way to a release, newest first: everything that was applied
    from the first migration in the way on. None where nothing is in the way.

    Raises Refused where one cannot be taken back, DatabaseUnreachable.
    """
    if site.database is None:
        return None
    status = read_status(site.database, ())
    blocking = in_the_way(status, target)
    if not blocking:
        return None
    steps = len(status.applied) - status.applied.index(blocking[0])
    return plan_rollback(status, _without_script(site, status, steps), steps=steps, to=None)


def _without_script(site: Site, status: Status, steps: int) -> Sequence[Migration]:
    """The files of those whose down script is not recorded: plain yoyo applied them. The recorded
    one counts otherwise, whatever is checked out here."""
    newest = status.applied[::-1][:steps]
    bare = {entry.id for entry in newest if entry.record is None or entry.record.down is None}
    return [each for each in migrations_of(site) if each.id in bare] if bare else []


# ------------------------------------------------------------------ contract


@dataclass(frozen=True, slots=True)
class ContractPlan:
    """Contract migrations to apply; `unexpected` are left, since what serves may need what they
    take away. `closes` are the releases that cannot come back afterwards."""

    migrations: MigratePlan
    unexpected: tuple[str, ...]
    closes: tuple[Release, ...]
    live: Release


def plan_contract(site: Site) -> ContractPlan:
    """Looks, changes nothing. Raises Refused where it is too early."""
    live = site.releases.live()
    if live is None:
        raise Refused(f"nothing was deployed to {site.environment.name} yet")
    migrations = migrations_of(site)
    if site.database is None or not migrations:
        raise Refused(f"{site.environment.name} has no migrations")
    _refuse_in_soak(site, live)
    status = read_status(site.database, migrations)
    todo = plan_migrate(status, migrations, to=None, phase=Phase.CONTRACT)
    chosen = tuple(each for each in todo.migrations if live.expects(each.id))
    left = tuple(each.id for each in todo.migrations if not live.expects(each.id))
    closed = tuple(r for r in closed_by(site, [each.id for each in chosen]) if r.id != live.id)
    return ContractPlan(replace(todo, migrations=chosen), left, closed, live)


def closed_by(site: Site, migrations: Sequence[str]) -> tuple[Release, ...]:
    """The recorded releases that cannot come back once these contract migrations are applied."""
    return tuple(
        release
        for release in site.releases.all()
        if release.state is ReleaseState.FINISHED
        and any(not release.expects(each) for each in migrations)
    )


def _refuse_in_soak(site: Site, live: Release) -> None:
    """While the release before runs on for a way back in seconds, nothing closes that way."""
    standing = site.releases.standing()
    served_s = site.releases.served_s(standing)
    if not site.rolling or standing is None or served_s is None or not standing.replaced:
        return
    left_s = site.environment.deploy.soak - served_s
    if left_s > 0:
        raise Refused(
            f"{live.id} serves since {format_duration(max(served_s, 0.0))}: its soak is not over,"
            f" and {standing.replaced} still runs as the way back",
            hint=f"Wait {format_duration(left_s)} (deploy.soak), and look how it does meanwhile.",
            retry_after_s=round(left_s, 1),
        )


def contract(
    site: Site, plan: ContractPlan, store: Store, *, backup: bool, wait_s: float = 0.0
) -> tuple[Applied, ...]:
    """Applies them when it is our turn, with a backup first."""
    names = ", ".join(each.id for each in plan.migrations.migrations)
    with turn(site, f"deploy contract {names}", wait_s):
        site.require_live(plan.live)
        assert site.database is not None
        if backup:
            label = "before deploy contract"
            back_up_step(site.environment, site.database, store, site.journal, site.progress, label)
        return _apply(site, plan.migrations)
