"""The two copies of the data that a rehearsal plays on.

One lies where the service will look: the real runner applies the migrations there, and the release
runs on it. On the other each migration goes up, down and up again, with its locks read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from stockctl.backup.drill import Scratch, restored
from stockctl.backup.key import require_key
from stockctl.backup.manifest import Backup
from stockctl.backup.stores.base import Store
from stockctl.core.errors import MigrationFailed
from stockctl.db.ledger import read_status
from stockctl.db.migration import Migration, Phase
from stockctl.db.plan import MigratePlan, plan_migrate
from stockctl.db.proof.steps import Rows, Steps, with_rows
from stockctl.db.proof.trial import Trial
from stockctl.db.runner import migrate
from stockctl.db.session import Limits
from stockctl.deploy.gates import migrations_of
from stockctl.deploy.rehearsal.report import Rehearsed
from stockctl.deploy.rehearsal.stage import Stage, start_database
from stockctl.deploy.site import Site
from stockctl.system.postgres import Database, errors

_WITH_STRATEGY = 150000  # PostgreSQL 15
_RESTORER = """
SELECT pg_get_userbyid(datdba)::text FROM pg_database
 WHERE datname = %s AND pg_get_userbyid(datdba) <> current_user
"""


@dataclass(frozen=True, slots=True)
class Copies:
    """`server` is the database where the service looks; `trial` works on the other."""

    site: Site
    server: Database
    trial: Trial
    restore_s: float

    def migrations(self, phase: Phase) -> tuple[Rehearsed, ...]:
        """Those of a phase that are pending, on both copies. Stops at the first that fails. Raises
        Refused where the ledger and the files disagree, or a script reaches out of its database."""
        everything = migrations_of(self.site)
        if not everything:
            return ()
        plan = plan_migrate(read_status(self.server, everything), everything, to=None, phase=phase)
        found: list[Rehearsed] = []
        for migration in plan.migrations:
            found.append(self._one(plan, migration))
            if found[-1].failed:
                break
        return tuple(found)

    def _one(self, plan: MigratePlan, migration: Migration) -> Rehearsed:
        limits = _limits(self.site)
        try:
            (applied,) = migrate(
                self.server,
                replace(plan, migrations=(migration,)),
                progress=self.site.progress,
                lock_timeout_s=limits.lock_timeout_s,
                statement_timeout_s=limits.statement_timeout_s,
                lock_retry_s=limits.lock_retry_s,
            )
        except MigrationFailed as error:
            said = "\n".join(filter(None, (str(error), error.details)))
            return Rehearsed(migration.id, None, None, failed=said)
        steps = Steps(migration)
        with self.site.progress.step(f"there and back {migration.id}") as step:
            with_rows(self.trial, steps, self.trial.catalog(), Rows(None), compare=True)
            locks = steps.up.locks if steps.up else None
            problems, reversible = tuple(steps.problems), migration.down is not None
            done = Rehearsed(migration.id, applied.duration_s, locks, problems, "", reversible)
            step.ok = done.ok
        return done


@contextmanager
def copied(stage: Stage, store: Store, backup: Backup) -> Iterator[Copies]:
    """Both, for as long as the block runs. Raises what restoring raises."""
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
        trial = Trial(copy, _limits(site), shared=True)
        try:
            yield Copies(site, server, trial, drilled.restore_s)
        finally:
            trial.close()


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


def _limits(site: Site) -> Limits:
    settings = site.environment.database
    assert settings is not None
    return Limits(settings.lock_timeout, settings.statement_timeout, settings.lock_retry)
