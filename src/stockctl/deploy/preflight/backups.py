"""Gates on backups."""

from __future__ import annotations

from stockctl.backup.overview import newest, overview
from stockctl.deploy.preflight.gate import Gate, Preflight, aged


def age(preflight: Preflight) -> Gate:
    """Of the newest one."""
    limit = preflight.settings.backup_younger_than
    assert limit is not None
    fix = f"stockctl backup create {preflight.name}"
    found = overview(preflight.store, preflight.name).backups
    latest = newest(found, preflight.site.clock.now())
    if latest is None:
        return Gate("backup-age", False, "there is no backup", fix=fix)
    gate = aged(preflight.site, "backup-age", latest.created_at, limit, "the newest is from")
    return gate if gate.ok else Gate("backup-age", False, gate.detail, gate.since, fix)


def verified(preflight: Preflight) -> Gate:
    """Any that was decoded and found whole: the store and the way into it work. What `backup
    create` reads back of its own bytes is no verification (decisions 0028 and 0062)."""
    limit = preflight.settings.backup_verified_within
    assert limit is not None
    catalogue = overview(preflight.store, preflight.name)
    fix = f"stockctl backup verify {preflight.name}"
    latest = newest(catalogue.backups, preflight.site.clock.now())
    if latest is not None and (why := catalogue.checks_of(latest).failed):
        said = f"the newest is broken: {why}"
        return Gate("backup-verified", False, said, fix=f"stockctl backup create {preflight.name}")
    moments = [m for b in catalogue.backups if (m := catalogue.checks_of(b).decoded_at)]
    if latest is not None and latest.encrypted and not _has_key(preflight):
        fix = f"Where the private key is: {fix}"
    if not moments:
        read = any(catalogue.checks_of(each).verified_at for each in catalogue.backups)
        said = "none was ever verified" + (", only read back" if read else "")
        return Gate("backup-verified", False, said, fix=fix)
    gate = aged(preflight.site, "backup-verified", max(moments), limit, "one was found whole")
    return gate if gate.ok else Gate("backup-verified", False, gate.detail, gate.since, fix)


def _has_key(preflight: Preflight) -> bool:
    return preflight.site.environment.backup.identity_file is not None


def drilled(preflight: Preflight) -> Gate:
    """Any that was restored on trial, with all its rows."""
    limit = preflight.settings.backup_drilled_within
    assert limit is not None
    catalogue = overview(preflight.store, preflight.name)
    fix = f"stockctl backup verify {preflight.name} --drill"
    moments = [m for b in catalogue.backups if (m := catalogue.checks_of(b).drilled_at)]
    if not moments:
        return Gate("backup-drilled", False, "none was ever restored", fix=fix)
    gate = aged(preflight.site, "backup-drilled", max(moments), limit, "one was restored")
    return gate if gate.ok else Gate("backup-drilled", False, gate.detail, gate.since, fix)
