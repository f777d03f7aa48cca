"""A proof as a person, a program and a CI runner read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockctl.cli.schema_view import as_data
from stockctl.core.errors import Where
from stockctl.core.report import Finding
from stockctl.core.units import format_duration

if TYPE_CHECKING:
    from stockctl.db.proof.nouns import Problem, Proof, Verdict

_COLOURS = {"proved": "", "failed": "red", "irreversible": "yellow", "not_reached": "yellow"}
_SHOWN_LOCKS = 2
_FIXES = {
    "P003": "Let the down script undo all that the up script does.",
    "P005": "Let the up script do the same whatever was there before.",
    "P012": "Let the down script say what becomes of the rows.",
    "P013": "Let the down script keep the values, or copy them over.",
    "P016": "Let the down script say what becomes of such rows.",
}


def findings(proof: Proof, label: Callable[[Path], str]) -> list[Finding]:
    """Each problem with its file and line."""
    return [
        Finding(
            each.code,
            each.severity,
            each.message,
            Where(label(each.path), each.line),
            _FIXES.get(each.code, ""),
        )
        for each in proof.problems
    ]


def rows(proof: Proof) -> Iterator[tuple[tuple[str, ...], str]]:
    """The table: a migration a line, and its colour."""
    for each in proof.verdicts:
        outcome = each.outcome.value
        seconds = [_seconds(each.up_s), _seconds(each.down_s)]
        word = outcome.replace("_", " ")
        yield (each.id, word, *seconds, _locks(each) or each.reason), _COLOURS[outcome]


def differing(problem: Problem) -> Iterator[str]:
    """The objects that differ, line by line; PostgreSQL's own words where it refused."""
    for each in problem.differences:
        yield f"{each.key}:"
        yield from each.lines
    yield from problem.details.splitlines()


def summary(proof: Proof) -> str:
    """`12 proved, 1 failed, in 2.1s; rows in 8 tables`."""
    many = Counter(each.outcome.value for each in proof.verdicts)
    counted = [f"{many[word]} {word.replace('_', ' ')}" for word in _COLOURS if many[word]]
    rows = f"; with {proof.rows} rows in {proof.tables} tables" if proof.tables else ""
    return (
        f"{', '.join(counted) or 'nothing to prove'}, in {format_duration(proof.duration_s)}{rows}"
    )


def data(proof: Proof) -> dict[str, Any]:
    """For programs."""
    return {
        "migrations": [_verdict(each) for each in proof.verdicts],
        "unfilled": [{"table": each.table, "reason": each.reason} for each in proof.unfilled],
        "tables": proof.tables,
        "rows": proof.rows,
        "duration_s": round(proof.duration_s, 3),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    locks = verdict.locks
    return {
        "id": verdict.id,
        "outcome": verdict.outcome.value,
        "transactional": verdict.transactional,
        "reason": verdict.reason,
        "up_s": _rounded(verdict.up_s),
        "down_s": _rounded(verdict.down_s),
        "again_s": _rounded(verdict.again_s),
        "locks": locks
        and [
            {"table": lock.table, "mode": lock.mode, "rewritten": lock.rewritten} for lock in locks
        ],
        "problems": [
            {
                "code": each.code,
                "severity": each.severity.value,
                "message": each.message,
                "details": each.details,
                "differences": as_data(each.differences),
            }
            for each in verdict.problems
        ],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else format_duration(seconds)


def _locks(verdict: Verdict) -> str:
    """The strongest ones; what only reads is left out."""
    if verdict.locks is None:
        return "not in a transaction" if not verdict.transactional and verdict.up_s else ""
    strong = [each for each in verdict.locks if each.rewritten or each.mode != "AccessShareLock"]
    more = f" and {len(strong) - _SHOWN_LOCKS} more" if len(strong) > _SHOWN_LOCKS else ""
    return ", ".join(map(str, strong[:_SHOWN_LOCKS])) + more
