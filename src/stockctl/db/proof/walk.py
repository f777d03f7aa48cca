"""`stockctl db prove`: one migration after the other, on one scratch database without rows and one
with them. Each is walked through once: what a proof costs grows with the number of migrations."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stockctl.core.errors import MigrationFailed
from stockctl.core.progress import Progress
from stockctl.core.report import Severity
from stockctl.db.catalog.nouns import Catalog
from stockctl.db.migration import Migration
from stockctl.db.proof.fill import Filler
from stockctl.db.proof.nouns import Outcome, Problem, Proof, Verdict
from stockctl.db.proof.reach import reaching, refuse_reaching
from stockctl.db.proof.rules import RULES
from stockctl.db.proof.steps import Rows, Steps, on_empty, up_of, with_rows
from stockctl.db.proof.trial import Trial
from stockctl.db.scratch import Scratch
from stockctl.db.session import Limits


@dataclass(frozen=True, slots=True)
class Choice:
    """Which migrations are proved. All before them are applied first, once.

    `rows`: also with rows in the tables. `shared`: other databases are on the server.
    """

    migrations: Sequence[Migration]
    chosen: frozenset[str]
    rows: bool = True
    shared: bool = True


def prove(scratch: Scratch, choice: Choice, limits: Limits, progress: Progress) -> Proof:
    """Raises Refused when a script reaches out of its database and that is not the only one there;
    MigrationFailed when one fails that had only to be applied; DatabaseFailed."""
    if choice.shared:
        refuse_reaching(reaching([*_scripts(choice.migrations)]))
    started = time.monotonic()
    walk = _Walk(scratch, choice, limits)
    try:
        for migration in choice.migrations:
            if migration.id in choice.chosen:
                with progress.step(f"prove {migration.id}") as step:
                    verdict = walk.prove(migration)
                    step.ok = verdict.outcome is not Outcome.FAILED
            else:
                walk.skip(migration)
    finally:
        walk.close()
    return walk.proof(time.monotonic() - started)


def _scripts(migrations: Sequence[Migration]) -> Iterator[tuple[str, str]]:
    for each in migrations:
        yield str(each.path), each.up
        if each.down is not None:
            yield str(each.down_path), each.down


@dataclass
class _Walk:
    """Where the two databases are: both have the migrations up to the same one."""

    scratch: Scratch
    choice: Choice
    limits: Limits
    verdicts: list[Verdict] = field(default_factory=list)
    applied: list[Migration] = field(default_factory=list)
    stopped: str = ""
    empty: Trial = field(init=False)
    full: Trial | None = None
    schema: Catalog | None = None
    rows: Rows = field(init=False)

    def __post_init__(self) -> None:
        self.empty = self._trial(self.scratch.create().dsn.database)
        self.rows = Rows(Filler())

    def _trial(self, name: str) -> Trial:
        return Trial(self.scratch.server.to(name), self.limits, shared=self.choice.shared)

    def close(self) -> None:
        self.empty.close()
        if self.full is not None:
            self.full.close()

    def skip(self, migration: Migration) -> None:
        """Applied, not proved."""
        if self.stopped:
            return
        wanted = [each.id for each in self.choice.migrations if each.id in self.choice.chosen]
        if migration.id < max(wanted, default=""):
            self.empty.run(up_of(migration))
            self.applied.append(migration)
            self.schema = None
            self._drop_full()

    def prove(self, migration: Migration) -> Verdict:
        verdict = self._not_reached(migration) if self.stopped else self._proved(migration)
        self.verdicts.append(verdict)
        return verdict

    def _not_reached(self, migration: Migration) -> Verdict:
        return Verdict(migration.id, Outcome.NOT_REACHED, migration.transactional, self.stopped)

    def _proved(self, migration: Migration) -> Verdict:
        before = self.schema or self.empty.catalog()
        if self.choice.rows and self.full is None:
            self._copy()
        steps = Steps(migration)
        try:
            self.schema = on_empty(self.empty, steps, before)
        except MigrationFailed as error:
            steps.failed("P001", error)
            self.stopped = f"{migration.id} fails"
            return _verdict(steps, ())
        self.applied.append(migration)
        if steps.broken:
            self._rebuild()
        return _verdict(steps, self._with_rows(migration, steps, before))

    def _with_rows(
        self, migration: Migration, empty: Steps, before: Catalog
    ) -> tuple[Problem, ...]:
        """What only shows with rows; not tried where it fails without them."""
        if self.full is None or any(each.code == "P002" for each in empty.problems):
            self._drop_full()
            return ()
        steps = Steps(migration)
        known = bool(empty.problems)
        with_rows(self.full, steps, before, self.rows, compare=not known)
        if steps.broken or empty.broken:
            self._drop_full()
        return tuple(steps.problems)

    def _copy(self) -> None:
        """The database with rows: as the empty one is now, and filled."""
        self.empty.close()
        copy = self.scratch.create(self.empty.database.dsn.database)
        self.empty.open()
        self.full = self._trial(copy.dsn.database)
        self.rows = Rows(Filler())
        self.rows.fill(self.full)

    def _drop_full(self) -> None:
        if self.full is not None:
            self.full.close()
            self.scratch.drop(self.full.database)
            self.full = None

    def _rebuild(self) -> None:
        """The empty one is not where its migrations lead: from the first one again."""
        self.empty.close()
        self.scratch.drop(self.empty.database)
        self.empty = self._trial(self.scratch.create().dsn.database)
        for migration in self.applied:
            self.empty.run(up_of(migration))
        self.schema = None

    def proof(self, duration_s: float) -> Proof:
        """What came of it."""
        filler = self.rows.filler or Filler()
        rows = [count for count in filler.filled.values() if count]
        unfilled = tuple(filler.unfilled.values())
        return Proof(tuple(self.verdicts), unfilled, len(rows), sum(rows), duration_s)


def _verdict(steps: Steps, more: Sequence[Problem]) -> Verdict:
    migration = steps.migration
    problems = (*steps.problems, *more)
    failed = any(RULES[each.code].severity is Severity.ERROR for each in problems)
    outcome = Outcome.PROVED if migration.reversible else Outcome.IRREVERSIBLE
    return Verdict(
        id=migration.id,
        outcome=Outcome.FAILED if failed else outcome,
        transactional=migration.transactional,
        reason="" if migration.reversible else migration.irreversible or "",
        up_s=steps.up.duration_s if steps.up else None,
        down_s=steps.down.duration_s if steps.down else None,
        again_s=steps.again.duration_s if steps.again else None,
        locks=steps.up.locks if steps.up else None,
        problems=problems,
    )
