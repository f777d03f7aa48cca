"""The proof on a database with real rows: what it has not applied yet goes up, down and up."""

from __future__ import annotations

from dataclasses import replace

from stockctl.core.progress import Progress
from stockctl.core.report import Severity
from stockctl.db.ledger import read_status
from stockctl.db.migration import Migration
from stockctl.db.proof.nouns import Outcome, Problem, Proof, Verdict
from stockctl.db.proof.steps import Rows, Steps, with_rows
from stockctl.db.proof.trial import Trial
from stockctl.db.proof.walk import Choice
from stockctl.db.session import Limits
from stockctl.system.postgres import Database

_WORDS = "with real rows: "


def prove_real(
    database: Database, choice: Choice, limits: Limits, progress: Progress
) -> dict[str, tuple[Problem, ...]]:
    """The problems of each migration that was tried: chosen ones that the copy's ledger has not.

    Stops at the first that leaves the copy elsewhere than it should: there is no second one.
    `database` is a copy that nobody else uses. Raises Refused where a script reaches out of it.
    """
    wanted = {entry.id for entry in read_status(database, choice.migrations).pending}
    todo = [each for each in choice.migrations if each.id in wanted & choice.chosen]
    found: dict[str, tuple[Problem, ...]] = {}
    if not todo:
        progress.say("the backup has all these migrations: none is tried on its rows")
        return found
    trial = Trial(database, limits, shared=choice.shared)
    rows = Rows(filler=None)
    try:
        for migration in todo:
            with progress.step(f"prove {migration.id} on real rows") as step:
                steps = _proved(trial, migration, rows)
                step.ok = not steps.problems
            found[migration.id] = tuple(steps.problems)
            if steps.broken:
                progress.warn(f"after {migration.id} no other one is tried on real rows")
                break
    finally:
        trial.close()
    return found


def _proved(trial: Trial, migration: Migration, rows: Rows) -> Steps:
    steps = Steps(migration)
    with_rows(trial, steps, trial.catalog(), rows, compare=True)
    return steps


def joined(proof: Proof, real: dict[str, tuple[Problem, ...]]) -> Proof:
    """One proof of both. What both found is said once."""
    return replace(
        proof, verdicts=tuple(_joined(each, real.get(each.id, ())) for each in proof.verdicts)
    )


def _joined(verdict: Verdict, real: tuple[Problem, ...]) -> Verdict:
    known = {(each.code, each.message) for each in verdict.problems}
    new = [each for each in real if (each.code, each.message) not in known]
    added = tuple(replace(each, message=_WORDS + each.message) for each in new)
    failed = any(each.severity is Severity.ERROR for each in added)
    problems = (*verdict.problems, *added)
    return replace(
        verdict, problems=problems, outcome=Outcome.FAILED if failed else verdict.outcome
    )
