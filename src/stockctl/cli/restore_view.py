"""What a restore would do, on the screen and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stockctl.cli.session import Session
from stockctl.core.units import format_duration, format_size

if TYPE_CHECKING:
    from stockctl.backup.restore_plan import RestorePlan
    from stockctl.backup.room import Share

SHOWN_TABLES = 8


def show_restore_plan(session: Session, todo: RestorePlan, *, safety: bool) -> None:
    """`safety`: whether a backup of what is live comes first."""
    backup, note = todo.backup, session.output.note
    label = f" ({backup.label})" if backup.label else ""
    note(f"restore   {backup.id}{label}: {backup.tables} tables, {backup.rows} rows")
    if todo.previous_database is None:
        _show_creation(session, todo)
    else:
        _show_loss(session, todo)
        note("before    a safety backup" if safety else "before    no safety backup")
    why = f"; rows in one stream: {todo.way.why}" if todo.way.why else ""
    note(f"jobs      {todo.way.jobs}{why}")
    show_room(session, todo.room)
    for warning in todo.warnings:
        note(f"careful   {warning}", style="yellow")
    for name in todo.kept_before:
        note(f"kept      {name} from an earlier restore still takes disk: backup tidy")


def show_room(session: Session, room: Sequence[Share]) -> None:
    """One line for each disk, and for each place whose room nobody knows."""
    from stockctl.backup.room import told

    for line, known in told(room):
        session.output.note(f"room      {line}", style="" if known else "yellow")


def _show_creation(session: Session, todo: RestorePlan) -> None:
    note = session.output.note
    note(f"creates   {todo.database}, which is not on this server")
    for role in todo.roles:
        note(f"role      {role.name}" + (", without a password" if role.login else ""))
        if role.powers:
            note(f"careful   {role.name} was {', '.join(role.powers)}: not given", style="yellow")


def _show_loss(session: Session, todo: RestorePlan) -> None:
    note = session.output.note
    age = format_duration(max(todo.lost_window_s, 0))
    live = "nobody can enter it" if todo.live_rows is None else f"{todo.live_rows} rows"
    note(f"replaces  {todo.database}: {live}, {format_size(todo.live_bytes)}")
    note(f"lost      what was written in the last {age}; it stays in {todo.previous_database}")
    for line in todo.lost_rows[:SHOWN_TABLES]:
        note(f"          {line}")
    more = len(todo.lost_rows) - SHOWN_TABLES
    if more > 0:
        note(f"          and {more} more tables")


def planned(todo: RestorePlan) -> dict[str, Any]:
    """For programs."""
    from stockctl.backup.room import data_of

    return {
        "backup": todo.backup.id,
        "database": todo.database,
        "previous_database": todo.previous_database,
        "lost_window_s": round(todo.lost_window_s, 1),
        "lost_rows": list(todo.lost_rows),
        "jobs": todo.way.jobs,
        "roles": [role.name for role in todo.roles],
        "warnings": list(todo.warnings),
        "room": data_of(todo.room),
    }
