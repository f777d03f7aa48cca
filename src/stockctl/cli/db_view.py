"""What `stockctl db` shows of migrations, to a person and to a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stockctl.cli.session import Session
from stockctl.cli.table import Row
from stockctl.core.units import format_instant

if TYPE_CHECKING:
    from stockctl.db.forecast import Drop
    from stockctl.db.ledger import Entry, Status
    from stockctl.db.migration import Migration
    from stockctl.db.plan import MigratePlan, RollbackPlan
    from stockctl.db.runner import Applied, Reverted

_COLOURS = {"applied": "green", "pending": "cyan"}


def show_status(session: Session, found: Status) -> None:
    rows = []
    for entry in found.entries:
        at = format_instant(entry.applied_at) if entry.applied_at else ""
        cells = (entry.id, entry.state.value, entry.phase.value, at, entry.advice)
        rows.append(Row(cells, _COLOURS.get(entry.state.value, "red")))
    session.output.table(("MIGRATION", "STATE", "PHASE", "APPLIED", ""), rows, "no migrations")


def status_data(found: Status) -> dict[str, Any]:
    return {"migrations": [_entry_data(entry) for entry in found.entries], "head": found.head}


def _entry_data(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "state": entry.state.value,
        "phase": entry.phase.value,
        "transactional": entry.transactional,
        "reversible": entry.reversible,
        "applied_at": format_instant(entry.applied_at) if entry.applied_at else None,
        "applied_by": entry.applied_by,
        "advice": entry.advice,
    }


def show_migrate_plan(session: Session, todo: MigratePlan, *, locks: bool) -> None:
    """`locks`: with what each of them will lock, which takes a moment for a thousand."""
    lines = []
    for migration in todo.migrations:
        how = "one transaction" if migration.transactional else "no transaction"
        held = _locks(migration) if locks else ""
        lines.append(f"to apply: {migration.id}  ({migration.phase}, {how}{held})")
    lines += [f"waits:    {waiting.id}  ({waiting.reason})" for waiting in todo.waiting]
    if not todo.migrations:
        lines.append("nothing to apply")
    session.output.note("\n".join(lines))


def _locks(migration: Migration) -> str:
    from stockctl.db.lint.locks import expected

    locks = ", ".join(str(lock) for lock in expected(migration.up))
    return f"; locks {locks}" if locks else ""


def show_rollback_plan(session: Session, todo: RollbackPlan, drops: Sequence[Drop]) -> None:
    """Each with what it would drop."""
    for reversal in todo.reversals:
        session.output.note(f"to take back: {reversal.id}  ({reversal.source})")
        for drop in drops:
            if drop.migration == reversal.id:
                session.output.note(f"  drops {drop}", style="yellow" if drop.rows else "")
    if not todo.reversals:
        session.output.note("nothing to take back")


def planned_rollback(todo: RollbackPlan, drops: Sequence[Drop], head: str | None) -> dict[str, Any]:
    lost = [{"id": each.migration, "what": str(each.target), "rows": each.rows} for each in drops]
    planned = [reversal.id for reversal in todo.reversals]
    return {"planned": planned, "drops": lost, "reverted": [], "head": head}


def durations(done: Sequence[Applied | Reverted]) -> list[dict[str, Any]]:
    return [{"id": each.id, "duration_s": round(each.duration_s, 3)} for each in done]
