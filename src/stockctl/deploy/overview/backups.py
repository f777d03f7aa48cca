"""How old the newest backup is, whether it was found whole, how long a restore took."""

from __future__ import annotations

from datetime import datetime

from stockctl.backup.checks import Checks
from stockctl.backup.overview import Listed, Overview, newest, newest_with_rows, overview
from stockctl.backup.stores.base import Store
from stockctl.core.errors import StockctlError, StoreFailed
from stockctl.core.units import format_age, format_duration, format_instant, format_size
from stockctl.deploy.overview.part import BACKUP, Advice, Level, Part
from stockctl.deploy.site import Site

OLD_S = 26 * 3600.0  # one a day, and two hours for it to be late


def backups_part(site: Site, store: Store) -> Part:
    """Raises StoreFailed where there should be backups and none can be looked for."""
    name = site.environment.name
    try:
        catalogue = overview(store, name)
    except StoreFailed:
        if not _undeployed(site):
            raise
        catalogue = Overview(name, (), {})
    latest = newest(catalogue.backups, site.clock.now())
    if latest is None:
        if site.environment.service is not None and _undeployed(site):
            return Part("backups", Level.NOTICE, ("there is none yet",), {"count": 0})
        advice = Advice(BACKUP, f"stockctl backup create {name}", "there is no backup")
        return Part("backups", Level.BAD, ("there is none",), {"count": 0}, (advice,))
    return _told(site, catalogue, latest)


def _undeployed(site: Site) -> bool:
    """False, too, where the machine that knows cannot be asked."""
    try:
        return site.releases.live() is None
    except StockctlError:
        return False


def _told(site: Site, catalogue: Overview, latest: Listed) -> Part:
    now, checks = site.clock.now(), catalogue.checks_of(latest)
    age = (now - latest.created_at).total_seconds()
    drilled = [c for b in catalogue.backups if (c := catalogue.checks_of(b)).restore_s is not None]
    rto = drilled[0].restore_s if drilled else None
    on = drilled[0].drilled_on if drilled else None
    decoded = [m for b in catalogue.backups if (m := catalogue.checks_of(b).decoded_at)]
    last = max(decoded, default=None)
    restore = "never restored" if rto is None else f"restores in {format_duration(rto)}"
    restore += f" (drilled on {on})" if on else ""
    seen = _how_deep(checks, last, now)
    said = f"newest {format_age(age)}, {seen}, {restore}; {len(catalogue.backups)} in all"
    data = {
        "count": len(catalogue.backups),
        "newest": latest.id,
        "created_at": format_instant(latest.created_at),
        "age_s": round(age),
        "size_bytes": latest.size_bytes,
        "rows": latest.rows,
        "empty": latest.empty,
        "verified_at": format_instant(checks.decoded_at) if checks.decoded_at else None,
        "last_verified_at": format_instant(last) if last else None,
        "failed": checks.failed,
        "drilled_at": next((format_instant(c.drilled_at) for c in drilled if c.drilled_at), None),
        "restore_s": rto,
        "drilled_on": on,
    }
    idle_s = None if last is None else (now - last).total_seconds()
    advice = _emptied(site, catalogue) or _advice(site, checks, age, idle_s, drilled=bool(drilled))
    size = format_size(latest.size_bytes)
    level = advice.level if advice else Level.GOOD
    return Part("backups", level, (f"{said}, {size}",), data, (advice,) if advice else ())


def _how_deep(checks: Checks, last: datetime | None, now: datetime) -> str:
    """`verified` is only what was decoded; `last`: when any was (decision 0062)."""
    if checks.failed:
        return "broken"
    if checks.decoded_at is not None:
        return "verified"
    if checks.verified_at is None:
        return "not verified"
    if last is None:
        return "read back, never verified"
    return f"read back, one verified {format_age((now - last).total_seconds())}"


def _emptied(site: Site, catalogue: Overview) -> Advice | None:
    """Where the newest holds nothing and an earlier one did."""
    before = newest_with_rows(catalogue.backups, site.clock.now())
    if before is None:
        return None
    look = f"stockctl backup restore {site.environment.name} --backup {before.id} --plan"
    why = f"the newest backup holds no rows, and {before.id} holds {before.rows}"
    return Advice(BACKUP, look, why)


def _advice(
    site: Site, checks: Checks, age_s: float, idle_s: float | None, *, drilled: bool
) -> Advice | None:
    """`idle_s`: since any was verified. The newest of last night need not be, one of this week."""
    name = site.environment.name
    create, verify = f"stockctl backup create {name}", f"stockctl backup verify {name}"
    limit = site.environment.monitor.verify_age
    if checks.failed:
        return Advice(BACKUP, create, f"the newest backup is broken: {checks.failed}")
    if age_s > OLD_S:
        return Advice(BACKUP, create, f"the newest backup is from {format_age(age_s)}")
    if idle_s is None:
        return Advice(BACKUP, verify, "no backup was ever verified", Level.NOTICE)
    if checks.verified_at is None:
        return Advice(BACKUP, verify, "the newest backup was never verified", Level.NOTICE)
    if idle_s > limit:
        why = f"no backup was verified for {format_duration(limit)}"
        return Advice(BACKUP, verify, why, Level.NOTICE)
    if not drilled:
        why = "no backup was ever restored"
        return Advice(BACKUP, f"{verify} --drill", why, Level.NOTICE)
    return None
