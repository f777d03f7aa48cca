"""One migration on one scratch database: up, down, up again, and what is compared between them."""

from __future__ import annotations

from collections.abc import Iterable
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
from stockctl.db.proof.shape import Table, read_tables
from stockctl.db.proof.trial import Run, Script, Trial

# Any row at all breaks these, whatever is in it.
_ANY_ROW = (psycopg.errors.NotNullViolation,)


def up_of(migration: Migration) -> Script:
    """The up script."""
    return Script(migration.id, str(migration.path), migration.up, migration.transactional)


def down_of(migration: Migration) -> Script:
    """The down script of a migration that has one."""
    assert migration.down is not None
    return Script(migration.id, str(migration.down_path), migration.down, migration.transactional)


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
        """PostgreSQL refused a script."""
        message = error.message.partition(" failed: ")[2] or error.message
        line = (error.where.line if error.where else None) or 1
        self.add(code, message, down=down, line=line, details=error.details)

    def differs(self, code: str, found: tuple[Difference, ...], what: str, *, down: bool) -> None:
        """Two schemas are not the same, if they are not."""
        if found:
            names = ", ".join(str(each.key) for each in found[:3])
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            self.add(code, f"{what}: {names}{more}", down=down, differences=found)

    def add(
        self,
        code: str,
        message: str,
        *,
        down: bool,
        line: int = 1,
        details: str = "",
        differences: tuple[Difference, ...] = (),
    ) -> None:
        """A problem of one of the two scripts."""
        path = self.migration.down_path if down else self.migration.path
        assert path is not None
        severity = RULES[code].severity
        self.problems.append(Problem(code, severity, message, path, line, differences, details))

    def written(self) -> frozenset[int] | None:
        """Tables whose rows a script may have changed; None: it may be any."""
        found: set[int] = set()
        for run in (self.up, self.down, self.again):
            if run is not None and run.written is None:
                return None
            found |= run.written or set() if run is not None else set()
        return frozenset(found)


@dataclass(slots=True)
class Rows:
    """What is in the tables of a database, remembered for as long as no script touches them.

    Without a `filler` the rows are real ones.
    """

    filler: Filler | None
    _known: dict[int, Contents] = field(default_factory=dict)
    _tables: tuple[Table, ...] | None = None

    def fill(self, trial: Trial) -> None:
        """Rows for tables that are new and empty."""
        if self.filler is not None:
            self.filler.fill(trial.connection, self.tables(trial))

    def tables(self, trial: Trial) -> tuple[Table, ...]:
        """All that there are."""
        if self._tables is None:
            self._tables = read_tables(trial.connection)
        return self._tables

    def read(self, trial: Trial, tables: Iterable[Table]) -> dict[int, Contents]:
        """What is in these tables now."""
        tables = list(tables)
        unknown = [each for each in tables if each.oid not in self._known]
        self._known |= read_contents(trial.connection, unknown)
        return {each.oid: self._known[each.oid] for each in tables}

    def forget(self, written: frozenset[int] | None) -> None:
        """A script has run, and may have written to these; None: to any."""
        self._tables = None
        if written is None:
            self._known.clear()
        for oid in written or ():
            self._known.pop(oid, None)


def on_empty(trial: Trial, steps: Steps, before: Catalog) -> Catalog:
    """The proof of the schema; returns it as it is after the migration. Raises MigrationFailed
    when not even the first up works."""
    migration = steps.migration
    steps.up = trial.run(up_of(migration))
    after = trial.catalog()
    if migration.down is None:
        return after
    try:
        steps.down = trial.run(down_of(migration))
    except MigrationFailed as error:
        steps.failed("P002", error, down=True)
        steps.broken = not migration.transactional
        return after
    back = differences(before, trial.catalog())
    steps.differs("P003", back, "the schema is not what it was before", down=True)
    try:
        steps.again = trial.run(up_of(migration))
    except MigrationFailed as error:
        steps.failed("P004", error)
        steps.broken = True
        return after
    again = differences(after, trial.catalog())
    steps.broken = bool(again)
    if not back:  # else it is the same mistake, seen twice
        steps.differs("P005", again, "the second up leads to another schema", down=False)
    return after


def with_rows(trial: Trial, steps: Steps, before: Catalog, rows: Rows, *, compare: bool) -> None:
    """The same with rows in the tables. `compare`: also the schema, which has not been seen to
    differ without them."""
    migration = steps.migration
    contents = rows.read(trial, rows.tables(trial))
    if not _up_works(trial, steps, real=rows.filler is None):
        return
    rows.forget(steps.written())
    rows.fill(trial)
    if migration.down is None:
        return
    between = rows.read(trial, [each for each in rows.tables(trial) if each.oid in contents])
    _try_late_rows(trial, steps, rows.filler)
    try:
        steps.down = trial.run(down_of(migration))
    except MigrationFailed as error:
        steps.failed("P012", error, down=True)
        steps.broken = not migration.transactional
        return
    rows.forget(steps.written())
    if compare:
        back = differences(before, trial.catalog())
        steps.differs("P003", back, "with rows, the schema is not what it was before", down=True)
    after = rows.read(trial, rows.tables(trial))
    _compare(steps, contents, between, after)
    if not compare:  # where the down script leads, up has failed already, or it is not the way
        steps.broken = True
        return
    try:
        steps.again = trial.run(up_of(migration))
    except MigrationFailed as error:
        steps.failed("P017", error)
        steps.broken = True
    rows.forget(steps.written())
    rows.fill(trial)


def _up_works(trial: Trial, steps: Steps, *, real: bool) -> bool:
    try:
        steps.up = trial.run(up_of(steps.migration))
    except MigrationFailed as error:
        certain = real or isinstance(error.__cause__, _ANY_ROW)
        steps.failed("P011" if certain else "P015", error)
        steps.broken = True
        return False
    return True


def _compare(
    steps: Steps,
    before: dict[int, Contents],
    between: dict[int, Contents],
    after: dict[int, Contents],
) -> None:
    found = lost(before, between, after)
    for code, by_down, words in (
        ("P013", True, "loses what is in"),
        ("P014", False, "does not bring back what was in"),
    ):
        columns = [each.column for each in found if each.by_down is by_down]
        if columns:
            steps.add(code, f"{words} {', '.join(columns)}", down=True)


def _try_late_rows(trial: Trial, steps: Steps, filler: Filler | None) -> None:
    """A row written between up and down, as the new schema lets it pass."""
    migration, touched = steps.migration, steps.up and steps.up.touched
    if filler is None or not migration.transactional or not touched:
        return
    down, oids = down_of(migration), touched
    error = trial.tries(down, lambda connection: filler.more(connection, oids))
    if error is not None and trial.tries(down, lambda _: None) is None:
        steps.failed("P016", error, down=True)
