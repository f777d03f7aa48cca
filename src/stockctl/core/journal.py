"""Who did what, when, how it ended: one JSON object a line, appended and never rewritten."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stockctl.core.units import format_instant, parse_instant


class Outcome(StrEnum):
    """How an operation stands."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. The line that starts a thing and the one that ends it share `operation`."""

    operation: str
    command: str
    environment: str
    outcome: Outcome
    who: str
    at: datetime
    detail: str = ""
    duration_s: float | None = None  # in the line that ends it

    def to_line(self) -> bytes:
        """The entry as it stands in the file, with its newline."""
        fields = {
            "operation": self.operation,
            "command": self.command,
            "environment": self.environment,
            "outcome": self.outcome.value,
            "who": self.who,
            "at": format_instant(self.at),
            "detail": self.detail,
            "duration_s": self.duration_s,
        }
        # a name that is no UTF-8 arrives as lone surrogates; escaped, they are still JSON
        return json.dumps(fields, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Entry | None:
        """The inverse; None for a line that was cut by a crash or is not ours."""
        try:
            fields = json.loads(line)
            return cls(
                operation=str(fields["operation"]),
                command=str(fields["command"]),
                environment=str(fields["environment"]),
                outcome=Outcome(fields["outcome"]),
                who=str(fields["who"]),
                at=parse_instant(fields["at"]),
                detail=str(fields.get("detail", "")),
                duration_s=fields.get("duration_s"),
            )
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Operation:
    """Start and end of one operation, joined. `ended` is None while it runs or after a crash."""

    started: Entry
    ended: Entry | None

    @property
    def outcome(self) -> str:
        return self.ended.outcome.value if self.ended else "unfinished"


def operations(lines: Iterable[bytes]) -> list[Operation]:
    """The operations of a journal, oldest first."""
    started: dict[str, Entry] = {}
    ended: dict[str, Entry] = {}
    for entry in filter(None, map(Entry.from_line, lines)):
        (started if entry.outcome is Outcome.STARTED else ended)[entry.operation] = entry
    return [Operation(entry, ended.get(key)) for key, entry in started.items()]
