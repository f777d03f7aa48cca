"""`stockctl deploy rehearse`: restore, migrate, take back, start, smoke; and nothing is left.

The live system is read twice: its newest verified backup in the store, and its ledger through the
backup. Neither its database nor its containers are asked for anything.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic

from stockctl.backup.catalog import open_backup
from stockctl.backup.drill import Scratch, restored
from stockctl.backup.key import require_key
from stockctl.backup.manifest import Backup
from stockctl.backup.overview import newest, overview
from stockctl.backup.stores.base import Store
from stockctl.core.errors import (
    BackupInvalid,
    DeadlineExceeded,
    EngineUnavailable,
    MigrationFailed,
    ToolFailed,
    Unhealthy,
)
from stockctl.db.ledger import read_status
from stockctl.db.migration import Migration, Phase
from stockctl.db.plan import MigratePlan, plan_migrate
from stockctl.db.proof.steps import Rows, Steps, with_rows
from stockctl.db.proof.trial import Trial
from stockctl.db.runner import migrate
from stockctl.db.session import Limits
from stockctl.deploy.evidence import Evidence, EvidenceBook, identity
from stockctl.deploy.gates import migrations_of
from stockctl.deploy.rehearsal.report import Rehearsal, Rehearsed
from stockctl.deploy.rehearsal.stage import (
    LOCK,
    Stage,
    run_once,
    staged,
    start_database,
    start_release,
)
from stockctl.deploy.site import Site
from stockctl.smoke.run import smoke
from stockctl.system.compose import Rendered
from stockctl.system.journal_file import operator
from stockctl.system.postgres import Database, errors

EVIDENCE = "rehearsal"
_WITH_STRATEGY = 150000  # PostgreSQL 15
_RESTORER = """
SELECT pg_get_userbyid(datdba)::text FROM pg_database
 WHERE datname = %s AND pg_get_userbyid(datdba) <> current_user
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is rehearsed."""

    version: str
    image_id: str
    rendered: Rendered
    dirty: bool = False  # built from a working tree that differed from its commit
    commit: str | None = None  # what it was built from, where it was built


def choose_backup(store: Store, name: str, now: datetime) -> Backup:
    """The newest that was read back whole; the rehearsal restores it, which proves more. Raises
    BackupInvalid where there is none."""
    catalogue = overview(store, name)
    whole = [each for each in catalogue.backups if catalogue.checks_of(each).verified_at]
    latest = newest(whole, now)
    if latest is None:
        raise BackupInvalid(
            "no backup was read back whole: there is nothing to rehearse with",
            hint=f"stockctl backup create {name}, or: stockctl backup verify {name}",
        )
    return open_backup(store, latest)


def rehearse(site: Site, store: Store, piece: Piece) -> Rehearsal:
    """Raises what restoring raises; what the new release does wrong is in the report."""
    name = site.environment.name
    backup = choose_backup(store, name, site.clock.now())
    with site.journal.alone(site.directory / LOCK, f"deploy rehearse {piece.version}"):
        with staged(site, piece.rendered, piece.image_id, backup.server_version) as stage:
            found = _play(stage, store, backup, piece)
        detail = "" if found.ok else "not passed"
        if not piece.dirty:  # its version would stand for what is committed later, too
            now, what = site.clock.now(), identity(piece.version, piece.commit)
            evidence = Evidence(EVIDENCE, now, found.ok, operator(), what, detail)
            EvidenceBook(site.host, site.directory).put(evidence)
    return replace(found, steps=site.progress.steps)


def _play(stage: Stage, store: Store, backup: Backup, piece: Piece) -> Rehearsal:
    site = stage.site
    with site.progress.step("another database") as step:
        server = start_database(stage)
        step.detail = stage.stack.project
    key = require_key(backup, site.environment.backup.identity_file)
    with restored(
        backup,
        store,
        key,
        Scratch(server, own=False),
        host=site.host,
        directory=site.directory,
        progress=site.progress,
        clock=site.clock,
    ) as (copy, drilled):
        with site.progress.step("copy"):
            _put_in_place(server, copy)
        migrations = _migrations(site, server, copy)
    first = site.environment.deploy.backup_first
    found = Rehearsal(backup.id, piece.version, piece.image_id, drilled.restore_s, migrations)
    found = replace(found, backup_s=backup.duration_s if first else 0.0)
    if site.rolling:
        found = replace(found, smokes=2, watched_s=_watched_s(site))
    if any(each.failed for each in migrations):
        return found
    found = _release_command(stage, found)
    return found if found.command_failed else _release(stage, found)


def _watched_s(site: Site) -> float:
    """How long `rolling` looks at its counters (deploy/canary.py)."""
    settings = site.environment.deploy
    return len(settings.canary) * settings.canary_step + settings.watch


def _put_in_place(server: Database, copy: Database) -> None:
    """A second copy under the name that the service knows, and all of it the service's user's:
    what the restore made belongs to a role that goes with the first one. File by file, which
    writes no WAL; before PostgreSQL 15 there was no other way and no word for it
    (https://www.postgresql.org/docs/current/sql-createdatabase.html)."""
    from psycopg import sql

    name, of = sql.Identifier(server.dsn.database), sql.Identifier(copy.dsn.database)
    with server.to("postgres").connect() as connection, errors("copy the copy"):
        connection.execute(sql.SQL("DROP DATABASE {}").format(name))
        by_file = connection.info.server_version >= _WITH_STRATEGY
        strategy = sql.SQL(" STRATEGY FILE_COPY" if by_file else "")
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, of) + strategy)
    with server.connect() as connection, errors("hand the copy over"):
        row = connection.execute(_RESTORER, (copy.dsn.database,)).fetchone()
        if row is not None:
            reassign = sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER")
            connection.execute(reassign.format(sql.Identifier(row[0])))


def _migrations(site: Site, server: Database, copy: Database) -> tuple[Rehearsed, ...]:
    """By the real runner where the service will look; there and back on the other copy, with the
    locks that were held. Stops at the first that fails."""
    everything = migrations_of(site)
    if not everything:
        return ()
    plan = plan_migrate(read_status(server, everything), everything, to=None, phase=Phase.EXPAND)
    found: list[Rehearsed] = []
    trial = Trial(copy, _limits(site), shared=True)
    try:
        for migration in plan.migrations:
            found.append(_one(site, server, trial, plan, migration))
            if found[-1].failed:
                break
    finally:
        trial.close()
    return tuple(found)


def _one(
    site: Site, server: Database, trial: Trial, plan: MigratePlan, migration: Migration
) -> Rehearsed:
    settings = site.environment.database
    assert settings is not None
    alone = replace(plan, migrations=(migration,))
    try:
        (applied,) = migrate(
            server,
            alone,
            progress=site.progress,
            lock_timeout_s=settings.lock_timeout,
            statement_timeout_s=settings.statement_timeout,
        )
    except MigrationFailed as error:
        said = "\n".join(filter(None, (str(error), error.details)))
        return Rehearsed(migration.id, None, None, failed=said)
    steps = Steps(migration)
    with site.progress.step(f"there and back {migration.id}") as step:
        with_rows(trial, steps, trial.catalog(), Rows(None), compare=True)
        locks = steps.up.locks if steps.up else None
        reversible = migration.down is not None
        done = Rehearsed(
            migration.id, applied.duration_s, locks, tuple(steps.problems), "", reversible
        )
        step.ok = done.ok
    return done


def _limits(site: Site) -> Limits:
    settings = site.environment.database
    assert settings is not None
    return Limits(settings.lock_timeout, settings.statement_timeout)


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
            said = "\n".join(filter(None, (str(error), error.details)))
            return replace(found, command_failed=said)
        step.detail = shlex.join(command)
    return replace(found, command_s=monotonic() - began)


def _release(stage: Stage, found: Rehearsal) -> Rehearsal:
    """The new release on the migrated copy, and the smoke checks against it."""
    site, began = stage.site, monotonic()
    with site.progress.step("start") as step:
        try:
            url = start_release(stage)
        except Unhealthy as error:
            step.ok = False
            return replace(found, unwell="\n".join(filter(None, (str(error), error.details))))
        found = replace(found, start_s=monotonic() - began)
        step.detail = url
    if not site.environment.smoke:
        return found
    began = monotonic()
    with site.progress.step("smoke") as step:
        report = smoke(site.environment.smoke, url, site.progress)
        step.ok = report.ok
    return replace(found, smoke=report, smoke_s=monotonic() - began)
