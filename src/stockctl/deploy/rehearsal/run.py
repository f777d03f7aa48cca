"""`stockctl deploy rehearse`: restore, migrate, take back, start, smoke; and nothing is left.

The live system is read twice: its newest verified backup in the store, and its ledger through the
backup. Neither its database nor its containers are asked for anything.
"""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass, replace
from time import monotonic

from stockctl.backup.catalog import open_backup
from stockctl.backup.manifest import Backup
from stockctl.backup.overview import newest, overview
from stockctl.backup.stores.base import Store
from stockctl.core.errors import (
    BackupInvalid,
    DeadlineExceeded,
    EngineUnavailable,
    Refused,
    ToolFailed,
    Unhealthy,
)
from stockctl.core.report import Report
from stockctl.db.migration import Phase
from stockctl.deploy.evidence import Evidence, EvidenceBook, identity
from stockctl.deploy.rehearsal.copies import Copies, copied
from stockctl.deploy.rehearsal.report import Contract, Rehearsal, Rehearsed
from stockctl.deploy.rehearsal.stage import (
    LOCK,
    Stage,
    run_once,
    staged,
    start_beside,
    start_release,
    stop_release,
)
from stockctl.deploy.schema import closed_by
from stockctl.deploy.site import Site
from stockctl.smoke.run import smoke
from stockctl.system.compose import Rendered
from stockctl.system.journal_file import operator

EVIDENCE = "rehearsal"


@dataclass(frozen=True, slots=True)
class Piece:
    """What is rehearsed."""

    version: str
    image_id: str
    rendered: Rendered
    dirty: bool = False  # built from a working tree that differed from its commit
    commit: str | None = None  # what it was built from, where it was built


def choose_backup(site: Site, store: Store) -> Backup | None:
    """The newest that was read back whole; the rehearsal restores it, which proves more. None
    without a database. Raises BackupInvalid where there is none."""
    if site.database is None:
        return None
    name = site.environment.name
    catalogue = overview(store, name)
    whole = [each for each in catalogue.backups if catalogue.checks_of(each).verified_at]
    latest = newest(whole, site.clock.now())
    if latest is None:
        raise BackupInvalid(
            "no backup was read back whole: there is nothing to rehearse with",
            hint=f"stockctl backup create {name}, or: stockctl backup verify {name}",
        )
    return open_backup(store, latest)


def rehearse(site: Site, store: Store, piece: Piece) -> Rehearsal:
    """Raises what restoring raises; what the new release does wrong is in the report."""
    backup = choose_backup(site, store)
    version = backup.server_version if backup else None
    with site.journal.alone(site.directory / LOCK, f"deploy rehearse {piece.version}"):
        with staged(site, piece.rendered, piece.image_id, version) as stage:
            found = _play(stage, store, backup, piece)
        detail = "" if found.ok else "not passed"
        if not piece.dirty:  # its version would stand for what is committed later, too
            now, what = site.clock.now(), identity(piece.version, piece.commit)
            evidence = Evidence(EVIDENCE, now, found.ok, operator(), what, detail)
            EvidenceBook(site.host, site.directory).put(evidence)
    return replace(found, steps=site.progress.steps)


def _play(stage: Stage, store: Store, backup: Backup | None, piece: Piece) -> Rehearsal:
    found = Rehearsal(piece.version, piece.image_id, stage.cast.everybody, stage.left_out)
    if stage.site.rolling:
        found = replace(found, smokes=2, watched_s=_watched_s(stage.site))
    with ExitStack() as stack:
        copies = stack.enter_context(copied(stage, store, backup)) if backup else None
        if backup and copies:
            first = stage.site.environment.deploy.backup_first
            found = replace(
                found,
                backup=backup.id,
                backup_s=backup.duration_s if first else 0.0,
                restore_s=copies.restore_s,
                migrations=copies.migrations(Phase.EXPAND),
            )
        for act in (_beside, _release_command):
            if not found.stuck:
                found = act(stage, found)
        return found if found.stuck else _release(stage, copies, found)


def _watched_s(site: Site) -> float:
    """How long `rolling` looks at its counters (deploy/canary.py)."""
    settings = site.environment.deploy
    return len(settings.canary) * settings.canary_step + settings.watch


def _beside(stage: Stage, found: Rehearsal) -> Rehearsal:
    """The long-lived services. In the live system they run already."""
    if not stage.cast.beside:
        return found
    with stage.site.progress.step("services") as step:
        step.detail = ", ".join(stage.cast.beside)
        try:
            start_beside(stage)
        except Unhealthy as error:
            step.ok = False
            return replace(found, unwell=_said(error))
    return found


def _release_command(stage: Stage, found: Rehearsal) -> Rehearsal:
    """The service's own migrator in the new image, on the copy."""
    command = stage.site.environment.deploy.release_command
    if not command:
        return found
    began = monotonic()
    with stage.site.progress.step("release command") as step:
        try:
            run_once(stage, command)
        except EngineUnavailable:
            raise
        except (DeadlineExceeded, ToolFailed) as error:
            step.ok = False
            return replace(found, command_failed=_said(error))
        step.detail = shlex.join(command)
    return replace(found, command_s=monotonic() - began)


def _release(stage: Stage, copies: Copies | None, found: Rehearsal) -> Rehearsal:
    """The new release on the migrated copy, the smoke checks against it, and then what waits until
    it has proved itself."""
    site, began = stage.site, monotonic()
    with site.progress.step("start") as step:
        try:
            url = start_release(stage)
        except Unhealthy as error:
            step.ok = False
            return replace(found, unwell=_said(error))
        found = replace(found, start_s=monotonic() - began)
        step.detail = url
    began = monotonic()
    report = _smoked(site, url)
    if report is not None:
        found = replace(found, smoke=report, smoke_s=monotonic() - began)
        if not report.ok:
            return found
    if copies is not None:
        found = replace(found, contract=_contract(site, copies, url))
    return replace(found, stop_s=_stopped_s(stage))


def _smoked(site: Site, url: str) -> Report | None:
    if not site.environment.smoke:
        return None
    with site.progress.step("smoke") as step:
        report = smoke(site.environment.smoke, url, site.progress)
        step.ok = report.ok
    return report


def _contract(site: Site, copies: Copies, url: str) -> Contract | None:
    """What `deploy contract` will do, days later, and the release on what it leaves."""
    failed, migrations = "", tuple[Rehearsed, ...]()
    try:
        migrations = copies.migrations(Phase.CONTRACT)
    except Refused as error:
        failed = _said(error)
    if not migrations and not failed:
        return None
    closes = tuple(each.id for each in closed_by(site, [each.id for each in migrations]))
    found = Contract(migrations, closes, failed)
    return replace(found, smoke=_smoked(site, url)) if found.ok else found


def _stopped_s(stage: Stage) -> float:
    """`recreate` stops the old release before it starts the new one: as long as this one takes."""
    if stage.site.rolling or stage.site.releases.live() is None:
        return 0.0
    began = monotonic()
    with stage.site.progress.step("stop"):
        stop_release(stage)
    return monotonic() - began


def _said(error: DeadlineExceeded | Refused | ToolFailed | Unhealthy) -> str:
    return "\n".join(filter(None, (str(error), error.details)))
