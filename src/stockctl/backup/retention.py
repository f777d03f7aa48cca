"""Which backups stay: rules ORed on the natural calendar (UTC), each verdict with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stockctl.backup.catalog import list_backups
from stockctl.backup.checks import checks_name
from stockctl.backup.create import locked
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.core.errors import ConfigurationError, Refused
from stockctl.core.progress import Progress
from stockctl.core.units import format_duration
from stockctl.system.host import Holder, Host


@dataclass(frozen=True, slots=True)
class Policy:
    """`backup.keep` and `backup.minimum`. A calendar rule counts the days (weeks …) that have a
    backup, so that an outage does not eat what was there before it."""

    last: int = 0
    within_s: float = 0.0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    minimum: int = 0


@dataclass(frozen=True, slots=True)
class Keep:
    """It stays, and every reason why."""

    backup: Backup
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """It goes, and why no rule keeps it."""

    backup: Backup
    reason: str


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """Newest first, both of them."""

    environment: str
    keep: tuple[Keep, ...]
    remove: tuple[Drop, ...]


@dataclass(frozen=True, slots=True)
class _Calendar:
    count: int
    unit: str
    bucket: Callable[[datetime], str]


def plan_prune(backups: Iterable[Backup], policy: Policy, now: datetime) -> PrunePlan:
    """Pure: decides, deletes nothing. Raises ConfigurationError for a policy that keeps nothing.

    Order is by time and never by name: a clock or naming change must not delete the newest.
    """
    _require_sense(policy)
    newest_first = sorted(backups, key=lambda each: (each.created_at, each.id), reverse=True)
    past = [each for each in newest_first if each.created_at <= now]
    reasons: dict[str, list[str]] = {each.id: [] for each in newest_first}
    for backup, reason in _verdicts(newest_first, past, policy, now):
        reasons[backup.id].append(reason)
    return PrunePlan(
        environment=newest_first[0].environment if newest_first else "",
        keep=tuple(Keep(b, tuple(reasons[b.id])) for b in newest_first if reasons[b.id]),
        remove=tuple(
            Drop(b, _why_not(b, past, policy, now)) for b in newest_first if not reasons[b.id]
        ),
    )


def prune(
    plan: PrunePlan,
    store: Store,
    *,
    host: Host,
    directory: Path,
    lock_holder: Holder,
    progress: Progress,
) -> tuple[Drop, ...]:
    """Carries the plan out and returns what went. The store is read again under the lock: what
    was pinned since stays, and without one backup of the plan's to keep nothing goes."""
    if not plan.remove:
        return ()
    with (
        locked(store, plan.environment, host, directory, lock_holder),
        progress.step("prune") as step,
    ):
        there = {b.id: b for b in list_backups(store, plan.environment).backups}
        if not any(each.backup.id in there for each in plan.keep):
            raise Refused("what the plan would keep is not in the store any more; plan again")
        gone = [d for d in plan.remove if d.backup.id in there and not there[d.backup.id].pinned]
        for drop in gone:
            # In this order nothing is ever listed that has no object.
            store.delete(drop.backup.manifest)
            store.delete(checks_name(drop.backup))
            store.delete(drop.backup.object)
            step.line(f"removed {drop.backup.id}: {drop.reason}")
        step.detail = f"{len(gone)} removed, {len(there) - len(gone)} left"
    return tuple(gone)


def _require_sense(policy: Policy) -> None:
    rules = [policy.last, policy.within_s, *(rule.count for rule in _calendars(policy))]
    if min(*rules, policy.minimum) < 0:
        raise ConfigurationError("backup.keep: a negative number keeps nothing")
    if not any(rules):
        raise ConfigurationError(
            "backup.keep would keep nothing",
            hint='For example: keep = { last = 3, within = "48h", daily = 7, weekly = 4 }',
        )


def _verdicts(
    newest_first: Sequence[Backup], past: Sequence[Backup], policy: Policy, now: datetime
) -> Iterator[tuple[Backup, str]]:
    """Every reason to keep something. Those dated in the future take nobody's place."""
    yield from ((b, "dated in the future") for b in newest_first if b.created_at > now)
    yield from ((b, "the newest") for b in past[:1])
    yield from ((b, "pinned") for b in newest_first if b.pinned)
    yield from ((b, f"one of the last {policy.last}") for b in past[: policy.last])
    if policy.within_s:
        text = f"within {format_duration(policy.within_s)}"
        yield from ((b, text) for b in past if _is_within(b, policy, now))
    for rule in _calendars(policy):
        for bucket, backup in _representatives(past, rule).items():
            yield backup, f"the last of the {rule.unit} {bucket}"
    # A floor, whatever else is kept: so a longer policy never keeps less.
    yield from ((b, f"minimum of {policy.minimum}") for b in past[: policy.minimum])


def _why_not(backup: Backup, past: Sequence[Backup], policy: Policy, now: datetime) -> str:
    reasons = []
    if policy.within_s:
        reasons.append(f"older than {format_duration(policy.within_s)}")
    if policy.last:
        reasons.append(f"not one of the last {policy.last}")
    for rule in _calendars(policy):
        kept = _representatives(past, rule)
        bucket = rule.bucket(backup.created_at)
        if bucket in kept:
            reasons.append(f"not the last of its {rule.unit} ({kept[bucket].id} is)")
        elif rule.count:
            reasons.append(f"its {rule.unit} is not one of the last {rule.count}")
    assert not _is_within(backup, policy, now)
    return ", ".join(reasons)


def _is_within(backup: Backup, policy: Policy, now: datetime) -> bool:
    return bool(policy.within_s) and now - backup.created_at <= timedelta(seconds=policy.within_s)


def _calendars(policy: Policy) -> tuple[_Calendar, ...]:
    return (
        _Calendar(policy.daily, "day", lambda at: f"{at.astimezone(UTC):%Y-%m-%d}"),
        _Calendar(policy.weekly, "week", lambda at: f"{at.astimezone(UTC):%G-W%V}"),
        _Calendar(policy.monthly, "month", lambda at: f"{at.astimezone(UTC):%Y-%m}"),
        _Calendar(policy.yearly, "year", lambda at: f"{at.astimezone(UTC):%Y}"),
    )


def _representatives(past: Sequence[Backup], rule: _Calendar) -> dict[str, Backup]:
    """The newest backup of each of the last `count` days (weeks …) that have one."""
    found: dict[str, Backup] = {}
    for backup in past:
        bucket = rule.bucket(backup.created_at)
        if bucket not in found and len(found) < rule.count:
            found[bucket] = backup
    return found
