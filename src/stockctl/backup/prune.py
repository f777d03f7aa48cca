"""`stockctl backup prune`: carries a plan out, and sweeps what killed runs left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from stockctl.backup.catalog import point_at, points_at
from stockctl.backup.checks import checks_name
from stockctl.backup.create import locked
from stockctl.backup.overview import Leftover, Overview, newest, overview
from stockctl.backup.retention import Drop, PrunePlan, plan_prune
from stockctl.backup.stores.base import Store
from stockctl.core.errors import Refused, StoreFailed
from stockctl.core.progress import Progress
from stockctl.system.host import Holder, Host

OLD = timedelta(days=1)  # of a leftover: nobody may still want to look at it


def old_leftovers(found: Overview, plan: PrunePlan) -> tuple[Leftover, ...]:
    """Those that a prune would sweep."""
    return tuple(each for each in found.leftovers if plan.now - each.modified > OLD)


def prune(
    plan: PrunePlan,
    store: Store,
    *,
    environment: str = "",
    host: Host,
    directory: Path,
    lock_holder: Holder,
    progress: Progress,
) -> tuple[Drop, ...]:
    """Returns what went. Everything is looked at again under the lock, and only what both plans
    remove goes: what was pinned or found broken since is judged anew. Without one backup of the
    plan's to keep nothing goes. Raises Locked, Refused, StoreFailed."""
    environment = environment or plan.environment
    if not environment:
        return ()
    with locked(store, environment, host, directory, lock_holder), progress.step("prune") as step:
        found = overview(store, environment)
        there = {backup.id for backup in found.backups}
        if plan.remove and not any(each.backup.id in there for each in plan.keep):
            raise Refused("what the plan would keep is not in the store any more; plan again")
        again = plan_prune(found.backups, plan.policy, plan.now, found.checks)
        still = {each.backup.id for each in again.remove}
        gone = tuple(each for each in plan.remove if each.backup.id in still)
        latest = newest(found.backups, plan.now) if gone else None
        with _pointing(store, environment, latest.object if latest else ""):
            for drop in gone:
                # In this order nothing is ever listed that has no object.
                for name in (drop.backup.manifest, checks_name(drop.backup), drop.backup.object):
                    store.delete(name)
                step.line(f"removed {drop.backup.id}: {drop.reason}")
            for left in old_leftovers(found, plan):
                store.delete(left.name)
                step.line(f"swept {left.name}, which belongs to no manifest")
        step.detail = f"{len(gone)} removed, {len(there) - len(gone)} left"
    return gone


@contextmanager
def _pointing(store: Store, environment: str, latest: str) -> Iterator[None]:
    """`latest` is right before anything goes; where a full disk has no room for that, right after,
    since then there is."""
    pointed = not latest or points_at(store, environment) == latest
    if not pointed:
        with suppress(StoreFailed):
            point_at(store, environment, latest)
            pointed = True
    yield
    if not pointed:
        point_at(store, environment, latest)
