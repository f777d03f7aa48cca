"""What stays and why: examples a person can check, laws that hold for every catalogue."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockctl.backup.checks import Checks
from stockctl.backup.manifest import Backup, new_id
from stockctl.backup.retention import Policy, PrunePlan, plan_prune
from stockctl.core.errors import ConfigurationError

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR, DAY = 3600.0, 86400.0


def at(moment: datetime, noise: int = 0, pinned: bool = False, rows: int = 0) -> Backup:
    return Backup(
        id=new_id(moment, f"{noise:04x}"),
        environment="prod",
        created_at=moment,
        size_bytes=1,
        database_bytes=1,
        duration_s=1.0,
        sha256="0" * 64,
        recipients=(),
        compression=3,
        database="stock",
        server_version="18.0",
        schema_head=None,
        fingerprint=(("public.item", rows), ("public._yoyo_migration", 5)),
        label=None,
        pinned=pinned,
        stockctl="0.1.0",
    )


def every(hours: float, count: int) -> list[Backup]:
    return [at(NOW - timedelta(hours=hours * number)) for number in range(count)]


def kept(plan: PrunePlan) -> set[str]:
    return {each.backup.id for each in plan.keep}


OFFSETS = st.floats(-10 * DAY, 900 * DAY).map(lambda s: NOW - timedelta(seconds=round(s)))
CATALOGUES = st.lists(st.tuples(OFFSETS, st.booleans(), st.integers(0, 1)), max_size=40).map(
    lambda those: [at(moment, number, *more) for number, (moment, *more) in enumerate(those)]
)
COUNTS = st.integers(0, 6)
POLICIES = st.builds(
    Policy,
    last=COUNTS,
    within_s=st.sampled_from([0.0, HOUR, 2 * DAY, 40 * DAY]),
    daily=COUNTS,
    weekly=COUNTS,
    monthly=COUNTS,
    yearly=COUNTS,
    minimum=COUNTS,
).filter(lambda p: any((p.last, p.within_s, p.daily, p.weekly, p.monthly, p.yearly)))


@given(CATALOGUES, POLICIES)
def test_every_backup_has_one_verdict_and_its_reason(backups: list[Backup], policy: Policy) -> None:
    plan = plan_prune(backups, policy, NOW)
    removed = {each.backup.id for each in plan.remove}
    assert kept(plan) | removed == {each.id for each in backups}
    assert not kept(plan) & removed
    assert all(each.reasons for each in plan.keep)
    assert all(each.reason for each in plan.remove)


@given(CATALOGUES, POLICIES)
def test_newest_pinned_and_future_ones_stay(backups: list[Backup], policy: Policy) -> None:
    plan = plan_prune(backups, policy, NOW)
    past = [each for each in backups if each.created_at <= NOW]
    if past:
        assert max(past, key=lambda b: (b.created_at, b.id)).id in kept(plan)
    must = {each.id for each in backups if each.pinned or each.created_at > NOW}
    assert must <= kept(plan)


@given(CATALOGUES, POLICIES)
def test_the_newest_with_rows_stays_however_many_empty_ones_came_after(
    backups: list[Backup], policy: Policy
) -> None:
    full = [each for each in backups if each.created_at <= NOW and not each.empty]
    plan = plan_prune(backups, policy, NOW)
    if full:
        assert max(full, key=lambda b: (b.created_at, b.id)).id in kept(plan)


def test_empty_ones_push_nothing_out() -> None:
    """A week after somebody emptied the database: what there was before is as it was then."""
    full = [at(NOW - timedelta(days=day), rows=9) for day in range(8, 20)]
    empty = [at(NOW - timedelta(days=day)) for day in range(8)]
    policy = Policy(last=3, daily=7, minimum=2)
    alone, plan = plan_prune(full, policy, NOW), plan_prune([*empty, *full], policy, NOW)
    assert kept(alone) < kept(plan)
    (first,) = (each for each in plan.keep if each.backup.id == full[0].id)
    assert "the newest of those with rows, and the newest has none" in first.reasons
    again = [at(NOW + timedelta(seconds=-1), rows=9), *empty, *full]
    assert kept(alone) - kept(plan_prune(again, policy, NOW))  # since then it is as ever


@given(CATALOGUES, POLICIES)
def test_the_minimum_is_a_floor(backups: list[Backup], policy: Policy) -> None:
    past = {each.id for each in backups if each.created_at <= NOW}
    plan = plan_prune(backups, policy, NOW)
    assert len(kept(plan) & past) >= min(policy.minimum, len(past))


@given(CATALOGUES, POLICIES)
def test_pruning_twice_is_pruning_once(backups: list[Backup], policy: Policy) -> None:
    once = plan_prune(backups, policy, NOW)
    again = plan_prune([each.backup for each in once.keep], policy, NOW)
    assert again.remove == ()


@given(
    CATALOGUES,
    POLICIES,
    st.sampled_from(["last", "daily", "weekly", "monthly", "yearly", "minimum", "within_s"]),
    st.integers(1, 5),
)
def test_a_longer_policy_never_keeps_less(
    backups: list[Backup], policy: Policy, rule: str, more: int
) -> None:
    longer = replace(policy, **{rule: getattr(policy, rule) + more})
    assert kept(plan_prune(backups, policy, NOW)) <= kept(plan_prune(backups, longer, NOW))


@given(CATALOGUES, POLICIES)
def test_future_backups_take_nobodys_place(backups: list[Backup], policy: Policy) -> None:
    past = [each for each in backups if each.created_at <= NOW]
    past_ids = {each.id for each in past}
    assert kept(plan_prune(backups, policy, NOW)) & past_ids == kept(plan_prune(past, policy, NOW))


@given(CATALOGUES, POLICIES)
def test_the_order_of_the_input_does_not_matter(backups: list[Backup], policy: Policy) -> None:
    shuffled = sorted(backups, key=lambda b: b.id[-1:])
    assert plan_prune(shuffled, policy, NOW) == plan_prune(backups, policy, NOW)


def test_an_outage_does_not_eat_the_old_ones() -> None:
    old = [at(NOW - timedelta(days=200 + number)) for number in range(10)]
    plan = plan_prune(old, Policy(within_s=2 * DAY, daily=7), NOW)
    assert kept(plan) == {each.id for each in old[:7]}


def test_days_are_days_of_the_calendar() -> None:
    just_before = at(datetime(2026, 11, 21, 23, 59, tzinfo=UTC))
    just_after = at(datetime(2026, 11, 22, 0, 1, tzinfo=UTC))
    assert not plan_prune([just_before, just_after], Policy(daily=2), NOW).remove


def test_the_week_is_the_iso_week() -> None:
    sunday, monday = (at(datetime(2026, 11, day, tzinfo=UTC)) for day in (15, 16))
    plan = plan_prune([sunday, monday], Policy(weekly=2), NOW)
    assert [each.reasons for each in plan.keep] == [
        ("the newest", "the last of the week 2026-W47"),
        ("the last of the week 2026-W46",),
    ]


def test_reasons_name_who_stands_in() -> None:
    plan = plan_prune(every(6, 8), Policy(last=1, within_s=HOUR, daily=2), NOW)
    assert [each.reasons for each in plan.keep] == [
        ("the newest", "one of the last 1", "within 1h 00m", "the last of the day 2026-11-22"),
        ("the last of the day 2026-11-21",),
    ]
    assert plan.remove[0].reason == (
        "older than 1h 00m, not one of the last 1,"
        " not the last of its day (20261122T120000Z-0000 is)"
    )
    assert plan.remove[-1].reason.endswith("its day is not one of the last 2")


@pytest.mark.parametrize("policy", [Policy(), Policy(minimum=3), Policy(last=-1, daily=3)])
def test_a_policy_that_keeps_nothing_is_refused(policy: Policy) -> None:
    with pytest.raises(ConfigurationError, match=r"backup\.keep"):
        plan_prune(every(1, 3), policy, NOW)


def test_nothing_to_plan() -> None:
    plan = plan_prune([], Policy(last=1), NOW)
    assert (plan.keep, plan.remove) == ((), ())


# ------------------------------------------------------ verified ones, and clocks

STATES = st.lists(st.sampled_from(["verified", "unknown", "failed"]), min_size=40, max_size=40)


def checks_of(backups: list[Backup], states: list[str]) -> dict[str, Checks]:
    known = {
        "verified": Checks(verified_at=NOW, depth="bytes"),
        "unknown": Checks(),
        "failed": Checks(failed="it is cut short"),
    }
    return {b.id: known[state] for b, state in zip(backups, states, strict=False)}


@given(CATALOGUES, STATES, POLICIES)
def test_the_minimum_counts_only_what_was_verified(
    backups: list[Backup], states: list[str], policy: Policy
) -> None:
    checks = checks_of(backups, states)
    good = {b.id for b in backups if b.created_at <= NOW and checks[b.id].verified_at}
    plan = plan_prune(backups, policy, NOW, checks)
    assert len(kept(plan) & good) >= min(policy.minimum, len(good))
    if len(good) < policy.minimum:
        assert plan.remove == ()


@given(CATALOGUES, STATES, POLICIES)
def test_the_newest_good_one_stays_and_broken_ones_are_not_touched(
    backups: list[Backup], states: list[str], policy: Policy
) -> None:
    checks = checks_of(backups, states)
    plan = plan_prune(backups, policy, NOW, checks)
    good = [b for b in backups if b.created_at <= NOW and checks[b.id].verified_at]
    if good:
        assert max(good, key=lambda b: (b.created_at, b.id)).id in kept(plan)
    failed = {b.id for b in backups if checks[b.id].failed}
    assert failed <= kept(plan)
    again = plan_prune([b for b in backups if b.id not in failed], policy, NOW, checks)
    assert kept(again) == kept(plan) - failed  # nor do they take anybody's place


@given(CATALOGUES, STATES, POLICIES)
def test_pruning_twice_is_pruning_once_with_checks(
    backups: list[Backup], states: list[str], policy: Policy
) -> None:
    checks = checks_of(backups, states)
    once = plan_prune(backups, policy, NOW, checks)
    again = plan_prune([each.backup for each in once.keep], policy, NOW, checks)
    assert again.remove == ()


@given(CATALOGUES, POLICIES, st.sampled_from([1, 400, 3650]))
def test_a_clock_that_is_ahead_removes_nothing_more(
    backups: list[Backup], policy: Policy, days: int
) -> None:
    past = [each for each in backups if each.created_at <= NOW]
    right = plan_prune(past, policy, NOW)
    ahead = plan_prune(past, policy, NOW + timedelta(days=days))
    assert {d.backup.id for d in ahead.remove} == {d.backup.id for d in right.remove}


@given(CATALOGUES, POLICIES, st.integers(1, 3))
def test_backups_that_were_made_by_such_a_clock_push_nothing_out(
    backups: list[Backup], policy: Policy, count: int
) -> None:
    past = [each for each in backups if each.created_at <= NOW]
    later = NOW + timedelta(days=3650)
    wrong = [at(later + timedelta(days=number), 0xFF00 + number) for number in range(count)]
    right = plan_prune(past, policy, NOW)
    ahead = plan_prune([*past, *wrong], policy, later + timedelta(days=count))
    by_rules = {k.backup.id for k in right.keep if k.reasons != (f"minimum of {policy.minimum}",)}
    assert by_rules <= kept(ahead)
    now_right = plan_prune([*past, *wrong], policy, NOW)  # and once it has been set
    assert kept(now_right) >= kept(right)


def test_a_year_without_backups_and_then_a_month_of_them_is_no_jump() -> None:
    old = [at(NOW - timedelta(days=500 + n)) for n in range(5)]
    new = [at(NOW - timedelta(days=n)) for n in range(30)]
    plan = plan_prune([*old, *new], Policy(last=3), NOW)
    assert kept(plan) == {each.id for each in new[:3]}


def test_ten_thousand_are_planned_at_once() -> None:
    """In proportion to their number, and not to its square."""
    many = [at(NOW - timedelta(hours=n), n) for n in range(10_000)]
    plan = plan_prune(many, Policy(last=3, within_s=2 * DAY, daily=30, monthly=12), NOW)
    assert len(plan.keep) + len(plan.remove) == 10_000
