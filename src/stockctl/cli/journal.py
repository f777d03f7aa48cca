"""`stockctl journal`."""

from __future__ import annotations

from stockctl.cli.command import Group
from stockctl.cli.session import Result, Session
from stockctl.cli.table import Row
from stockctl.cli.verb import verb
from stockctl.cli.wiring import open_environment
from stockctl.core.units import format_duration, format_instant
from stockctl.env.needs import RECORDS

app = Group()


@verb(app, "journal", example="stockctl journal prod", exits=(2, 3, 6))
def journal(session: Session, name: str) -> Result:
    """Shows who did what to an environment, when, and how it ended; newest first."""
    opened = open_environment(session, name, needs=RECORDS)
    found = opened.journal.operations()[::-1]
    rows, entries = [], []
    for each in found:
        took = each.ended.duration_s if each.ended else None
        detail = each.ended.detail if each.ended else ""
        at = format_instant(each.started.at)
        shown = "" if took is None else format_duration(took)
        cells = (at, each.started.command, each.outcome, shown, each.started.who, detail)
        colours = {"failed": "red", "unfinished": "yellow"}
        rows.append(Row(cells, colours.get(each.outcome, "")))
        entries.append(
            {
                "at": at,
                "command": each.started.command,
                "outcome": each.outcome,
                "duration_s": took,
                "who": each.started.who,
                "detail": detail,
            }
        )
    columns = ("WHEN", "WHAT", "OUTCOME", "TOOK", "WHO", "")
    session.output.table(columns, rows, f"nothing was done to {name} yet")
    return Result({"entries": entries})
