"""How old the newest backup is, whether it was found whole, how long a restore took."""

from __future__ import annotations

from stockctl.backup.overview import Listed, Overview, newest, overview
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
    name = site.environment.name
    checks = catalogue.checks_of(latest)
    age = (site.clock.now() - latest.created_at).total_seconds()
    drilled = [c for b in catalogue.backups if (c := catalogue.checks_of(b)).restore_s is not None]
    rto = drilled[0].restore_s if drilled else None
    found_whole = [m for b in catalogue.backups if (m := catalogue.checks_of(b).verified_at)]
    verified = "broken" if checks.failed else "verified" if checks.verified_at else "not verified"
    restore = "never restored" if rto is None else f"restores in {format_duration(rto)}"
    said = f"newest {format_age(age)}, {verified}, {restore}; {len(catalogue.backups)} in all"
    data = {
        "count": len(catalogue.backups),
        "newest": latest.id,
        "created_at": format_instant(latest.created_at),
        "age_s": round(age),
        "size_bytes": latest.size_bytes,
        "verified_at": format_instant(checks.verified_at) if checks.verified_at else None,
        "last_verified_at": format_instant(max(found_whole)) if found_whole else None,
        "failed": checks.failed,
        "drilled_at": next((format_instant(c.drilled_at) for c in drilled if c.drilled_at), None),
        "restore_s": rto,
    }
    create, verify = f"stockctl backup create {name}", f"stockctl backup verify {name}"
    level = Level.GOOD
    advice: tuple[Advice, ...] = ()
    if checks.failed:
        level = Level.BAD
        advice = (Advice(BACKUP, create, f"the newest backup is broken: {checks.failed}"),)
    elif age > OLD_S:
        level = Level.BAD
        advice = (Advice(BACKUP, create, f"the newest backup is from {format_age(age)}"),)
    elif checks.verified_at is None:
        level = Level.NOTICE
        advice = (Advice(BACKUP, verify, "the newest backup was never verified", level),)
    elif not drilled:
        level = Level.NOTICE
        advice = (Advice(BACKUP, f"{verify} --drill", "no backup was ever restored", level),)
    size = format_size(latest.size_bytes)
    return Part("backups", level, (f"{said}, {size}",), data, advice)
