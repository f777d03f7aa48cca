"""One migration on one scratch database: up, down, up again, and what is compared between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg

from stockctl.core.errors import MigrationFailed
from stockctl.db.catalog.diff import Difference, differences
from stockctl.db.catalog.nouns import Catalog
from stockctl.db.migration import Migration
from stockctl.db.proof.data import Contents, lost, read_contents
from stockctl.db.proof.fill import Filler
from stockctl.db.proof.nouns import Problem
from stockctl.db.proof.rules import RULES
from stockctl.db.proof.shape import read_tables
from stockctl.db.proof.trial import Run, Script, Trial

# A row of any values breaks these: no other data would have passed.
_ANY_ROW = (psycopg.errors.NotNullViolation,)


def up_of(migration: Migration) -> Script:
    """The up script."""
    return Script(migration.id, str(migration.path), migration.up, migration.transactional)


def down_of(migration: Migration) -> Script:
    """The down script of a migration that has one."""
    assert migration.down is not None
    return Script(
        migration.id, str(migration.down_path), migration.down, migration.transactional
    )


@dataclass(slots=True)
class Steps:
    """What happened so far. `broken`: the database is not where the migration should leave it."""

    migration: Migration
    problems: list[Problem] = field(default_factory=list)
    broken: bool = False
    up: Run | None = None
    down: Run | None = None
    again: Run | None = None

    def failed(self, code: str, error: MigrationFailed, *, down: bool = False) -> None:
        path = self.migration.down_path if down else self.migration.path
        message = error.message.partition(" failed: ")[2] or error.message
        line = error.where.line if error.where else None
        self._add(code, message, down=down, line=line or 1, details=error.details)
        assert path is not None

    def differs(self, code: str, found: tuple[Difference, ...], message: str, *, down: bool) -> None:
        if found:
            names = ", ".join(str(each.key) for each in found[:3])
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            self._add(code, f"{message}: {names}{more}", down=down, differences=found)

    def _add(
        self,
        code: str,
        message: str,
        *,
        down: bool,
        line: int = 1,
        details: str = "",
        differences: tuple[Difference, ...] = (),
    ) -> None:
        path = self.migration.down_path if down else self.migration.path
        assert path is not None
        severity = RULES[code].severity
        self.problems.append(Problem(code, severity, message, path, line, differences, details))

    def lost(self, before: dict[int, Contents], between: dict[int, Contents], trial: Trial) -> None:
        """Compares what is in the tables with what was."""
        wanted = {each.table for each in before.values()}
        tables = [each for each in read_tables(trial.connection) if str(each) in wanted]
        found = lost(before, between, read_contents(trial.connection, tables))
        for code, by_down, words in (
            ("P013", True, "loses what is in"),
            ("P014", False, "does not bring back what was in"),
        ):
            columns = [each.column for each in found if each.by_down is by_down]
            if columns:
                self._add(code, f"{words} {', '.join(columns)}", down=True)


def on_empty(trial: Trial, migration: Migration, before: Catalog) -> tuple[Steps, Catalog]:
    """The proof of the schema. Raises MigrationFailed when not even the first up works."""
    steps = Steps(migration)
    steps.up = trial.run(up_of(migration))
    after = trial.catalog()
    if migration.down is None:
        return steps, after
    try:
        steps.down = trial.run(down_of(migration))
    except MigrationFailed as error:
        steps.failed("P002", error, down=True)
        steps.broken = not migration.transactional
        return steps, after
    back = differences(before, trial.catalog())
    steps.differs("P003", back, "the schema is not what it was before", down=True)
    try:
        steps.again = trial.run(up_of(migration))
    except MigrationFailed as error:
        steps.failed("P004", error)
        steps.broken = True
        return steps, after
    again = differences(after, trial.catalog())
    if again:
        steps.broken = True
        if not back:  # else it is the same mistake, seen twice
            steps.differs("P005", again, "the second up leads to another schema", down=False)
    return steps, after


def with_rows(
    trial: Trial, migration: Migration, before: Catalog, filler: Filler | None, *, looked: bool
) -> Steps:
    """The same with rows in the tables; `filler` makes them where they are not real.

    `looked`: the schema has been compared on empty tables, and differed.
    """
    steps = Steps(migration)
    contents = read_contents(trial.connection, read_tables(trial.connection))
    try:
        steps.up = trial.run(up_of(migration))
    except MigrationFailed as error:
        certain = filler is None or isinstance(error.__cause__, _ANY_ROW)
        steps.failed("P011" if certain else "P015", error)
        steps.broken = True
        return steps
    if filler is not None:
        filler.fill(trial.connection)
    if migration.down is None:
        return steps
    between = _between(trial, contents, steps.up)
    if filler is not None:
        _late_rows(trial, steps, filler)
    try:
        steps.down = trial.run(down_of(migration))
    except MigrationFailed as error:
        steps.failed("P012", error, down=True)
        steps.broken = not migration.transactional
        return steps
    if not looked:
        back = differences(before, trial.catalog())
        steps.differs("P003", back, "with rows, the schema is not what it was before", down=True)
    _compare(trial, steps, contents, between)
    try:
        steps.again = trial.run(up_of(migration))
    except MigrationFailed as error:
        steps.failed("P017", error)
        steps.broken = True
    return steps


def _between(trial: Trial, before: dict[int, Contents], run: Run) -> dict[int, Contents]:
    """Read again where the script may have written, as it was where it did not."""
    tables = read_tables(trial.connection)
    changed = [
        each
        for each in tables
        if each.oid in before and (run.touched is None or each.oid in run.touched)
    ]
    return before | read_contents(trial.connection, changed)


def _compare(
    trial: Trial, steps: Steps, before: dict[int, Contents], between: dict[int, Contents]
) -> None:
    """Only tables that one of the two scripts held a lock on."""
    touched = [run.touched for run in (steps.up, steps.down) if run is not None]
    if None in touched:
        steps.lost(before, between, trial)
        return
    oids = {oid for each in touched if each is not None for oid in each}
    chosen = {oid: each for oid, each in before.items() if oid in oids}
    there = {each.oid for each in read_tables(trial.connection)}
    chosen |= {oid: each for oid, each in before.items() if oid not in there}
    if chosen:
        steps.lost(chosen, between, trial)


def _late_rows(trial: Trial, steps: Steps, filler: Filler) -> None:
    up = steps.up
    migration = steps.migration
    if up is None or not migration.transactional or not up.touched:
        return
    touched = up.touched
    error = trial.tries(down_of(migration), lambda connection: filler.more(connection, touched))
    if error is not None and trial.tries(down_of(migration), lambda _: None) is None:
        steps.failed("P016", error, down=True)


