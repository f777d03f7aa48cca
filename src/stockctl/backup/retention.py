"""Which backups stay: rules ORed on the natural calendar (UTC), each verdict with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from stockctl.backup.checks import Checks
from stockctl.backup.overview import Listed
from stockctl.core.errors import ConfigurationError
from stockctl.core.units import format_duration

# Nobody pauses for a year and then has a week of backups by a clock that is right: more likely the
# clock jumped, and what was there before must not be judged by it.
JUMP = timedelta(days=366)
_TRUSTED_AFTER = timedelta(days=7)


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

    backup: Listed
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """It goes, and why no rule keeps it."""

    backup: Listed
    reason: str


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """Newest first, both of them; and by which policy, at what time."""

    environment: str
    keep: tuple[Keep, ...]
    remove: tuple[Drop, ...]
    policy: Policy
    now: datetime


@dataclass(frozen=True, slots=True)
class _Calendar:
    count: int
    unit: str
    bucket: Callable[[datetime], str]


def plan_prune(
    backups: Iterable[Listed],
    policy: Policy,
    now: datetime,
    checks: Mapping[str, Checks] | None = None,
) -> PrunePlan:
    """Pure: decides, deletes nothing. Raises ConfigurationError for a policy that keeps nothing.

    Order is by time and never by name: a clock or naming change must not delete the newest.
    `checks`, by id, are what was found about them; None: all count as verified.
    """
    _require_sense(policy)
    newest_first = sorted(backups, key=lambda each: (each.created_at, each.id), reverse=True)
    reasons: dict[str, list[str]] = {each.id: [] for each in newest_first}
    sound = []
    for backup in newest_first:
        if backup.pinned:
            reasons[backup.id].append("pinned")
        if checks is not None and checks.get(backup.id, Checks()).failed:
            reasons[backup.id].append("it failed verification: look at it, then remove it yourself")
        elif backup.created_at > now:
            reasons[backup.id].append("dated in the future")
        else:
            sound.append(backup)
    judged = _Judged(tuple(sound), policy)
    verdicts = (*judged.verdicts(), *_floor(sound, policy, checks))
    for backup, reason in (*verdicts, *_before_empty_ones(sound, policy, checks)):
        reasons[backup.id].append(reason)
    for backup, reason in _before_a_jump(sound, policy):
        if not reasons[backup.id]:
            reasons[backup.id].append(reason)
    return PrunePlan(
        environment=newest_first[0].environment if newest_first else "",
        keep=tuple(Keep(b, tuple(reasons[b.id])) for b in newest_first if reasons[b.id]),
        remove=tuple(Drop(b, judged.why_not(b)) for b in newest_first if not reasons[b.id]),
        policy=policy,
        now=now,
    )


def _require_sense(policy: Policy) -> None:
    rules = [policy.last, policy.within_s, *(rule.count for rule in _calendars(policy))]
    if min(*rules, policy.minimum) < 0:
        raise ConfigurationError("backup.keep: a negative number keeps nothing")
    if not any(rules):
        raise ConfigurationError(
            "backup.keep would keep nothing",
            hint='For example: keep = { last = 3, within = "48h", daily = 7, weekly = 4 }',
        )


@dataclass(frozen=True)
class _Judged:
    """What the rules say of these; newest first. Those dated in the future are not among them and
    take nobody's place."""

    backups: tuple[Listed, ...]
    policy: Policy

    def verdicts(self) -> Iterator[tuple[Listed, str]]:
        """Every reason of a rule to keep something."""
        policy, backups = self.policy, self.backups
        yield from ((b, "the newest") for b in backups[:1])
        yield from ((b, f"one of the last {policy.last}") for b in backups[: policy.last])
        if policy.within_s:
            text = f"within {format_duration(policy.within_s)}"
            yield from ((b, text) for b in backups if self._is_within(b))
        for rule, representatives in self._representatives:
            for bucket, backup in representatives.items():
                yield backup, f"the last of the {rule.unit} {bucket}"

    def why_not(self, backup: Listed) -> str:
        reasons = []
        if self.policy.within_s:
            reasons.append(f"older than {format_duration(self.policy.within_s)}")
        if self.policy.last:
            reasons.append(f"not one of the last {self.policy.last}")
        for rule, kept in self._representatives:
            bucket = rule.bucket(backup.created_at)
            if bucket in kept:
                reasons.append(f"not the last of its {rule.unit} ({kept[bucket].id} is)")
            elif rule.count:
                reasons.append(f"its {rule.unit} is not one of the last {rule.count}")
        assert not self._is_within(backup)
        return ", ".join(reasons)

    def _is_within(self, backup: Listed) -> bool:
        """Counted back from the newest, not from now: an outage, or a clock that is ahead, does
        not make what there is too old."""
        age = self.backups[0].created_at - backup.created_at
        return bool(self.policy.within_s) and age <= timedelta(seconds=self.policy.within_s)

    @cached_property
    def _representatives(self) -> tuple[tuple[_Calendar, dict[str, Listed]], ...]:
        """The newest backup of each of the last `count` days (weeks …) that have one."""
        found: list[tuple[_Calendar, dict[str, Listed]]] = []
        for rule in _calendars(self.policy):
            kept: dict[str, Listed] = {}
            for backup in self.backups:
                if len(kept) == rule.count:
                    break
                kept.setdefault(rule.bucket(backup.created_at), backup)
            found.append((rule, kept))
        return tuple(found)


def _floor(
    sound: Sequence[Listed], policy: Policy, checks: Mapping[str, Checks] | None
) -> Iterator[tuple[Listed, str]]:
    """Whatever else is kept, so many that were read back whole, by `backup create` or later; so
    a longer policy never keeps less."""
    if checks is None:
        good = list(sound)
    else:
        good = [b for b in sound if checks.get(b.id, Checks()).verified_at is not None]
        yield from ((b, "the newest that was read back whole") for b in good[:1])
    yield from ((b, f"minimum of {policy.minimum}") for b in good[: policy.minimum])
    if len(good) < policy.minimum:
        text = f"minimum of {policy.minimum}, and only {len(good)} were read back"
        known = {each.id for each in good}
        yield from ((b, text) for b in sound if b.id not in known)


def _before_empty_ones(
    sound: Sequence[Listed], policy: Policy, checks: Mapping[str, Checks] | None
) -> Iterator[tuple[Listed, str]]:
    """While the newest has no rows, those with rows are judged by themselves, too: a database that
    was emptied by mistake does not push out what it held."""
    full = tuple(each for each in sound if not each.empty)
    if full and sound[0].empty:
        for backup, reason in (*_Judged(full, policy).verdicts(), *_floor(full, policy, checks)):
            yield backup, f"{reason} of those with rows, and the newest has none"


def _before_a_jump(sound: Sequence[Listed], policy: Policy) -> Iterator[tuple[Listed, str]]:
    """What the rules keep of those before a gap that only a wrong clock explains."""
    for at in range(1, len(sound)):
        later, earlier = sound[at - 1].created_at, sound[at].created_at
        if sound[0].created_at - later >= _TRUSTED_AFTER:
            return
        if later - earlier > JUMP:
            days = (later - earlier).days
            for backup, reason in _Judged(tuple(sound[at:]), policy).verdicts():
                yield backup, f"{reason} before a gap of {days} days: was the clock right?"
            yield from _before_a_jump(sound[at:], policy)
            return


def _calendars(policy: Policy) -> tuple[_Calendar, ...]:
    return (
        _Calendar(policy.daily, "day", lambda at: f"{at.astimezone(UTC):%Y-%m-%d}"),
        _Calendar(policy.weekly, "week", lambda at: f"{at.astimezone(UTC):%G-W%V}"),
        _Calendar(policy.monthly, "month", lambda at: f"{at.astimezone(UTC):%Y-%m}"),
        _Calendar(policy.yearly, "year", lambda at: f"{at.astimezone(UTC):%Y}"),
    )
