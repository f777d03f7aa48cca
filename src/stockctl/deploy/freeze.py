"""`deploy lock`: nobody deploys or rolls back until somebody says `deploy unlock`.

<directory>/frozen.json    who, since when, why; it is frozen while this file is there
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stockctl.core.errors import Frozen, HostFailed
from stockctl.core.units import format_instant, parse_instant
from stockctl.system.host import content
from stockctl.system.journal_file import Journal, operator


@dataclass(frozen=True, slots=True)
class Freeze:
    """A standing no, and whom to ask about it."""

    who: str
    since: datetime
    message: str

    def __str__(self) -> str:
        return f"frozen by {self.who} since {format_instant(self.since)}: {self.message}"

    def to_json(self) -> dict[str, str]:
        """As it stands in `frozen.json` and in `--json`."""
        return {"who": self.who, "since": format_instant(self.since), "message": self.message}


def _file(journal: Journal) -> Path:
    return journal.directory / "frozen.json"


def frozen(journal: Journal) -> Freeze | None:
    """None where deploys are free. Raises HostFailed for a file that cannot be read: whoever
    made it meant no."""
    path = _file(journal)
    data = content(journal.host, path)
    if data is None:
        return None
    try:
        said = json.loads(data)
        return Freeze(str(said["who"]), parse_instant(said["since"]), str(said["message"]))
    except (ValueError, KeyError, TypeError) as error:
        raise HostFailed(
            f"{path} is there and does not say who froze what",
            hint=f"Ask around, then: stockctl deploy unlock {journal.environment}",
        ) from error


def freeze(journal: Journal, message: str) -> Freeze:
    """Says no from now on; a deploy that is at work ends as it would. The last message counts."""
    made = Freeze(operator(), journal.clock.now().replace(microsecond=0), message)
    with journal.operation(f"deploy lock: {message}"):
        journal.host.write(_file(journal), json.dumps(made.to_json()).encode() + b"\n")
    return made


def thaw(journal: Journal) -> bool:
    """False where it was not frozen."""
    if not journal.host.exists(_file(journal)):
        return False
    with journal.operation("deploy unlock"):
        journal.host.remove(_file(journal))
    return True


def require_thawed(journal: Journal) -> None:
    """Raises Frozen."""
    found = frozen(journal)
    if found is not None:
        name = journal.environment
        raise Frozen(f"{name} is {found}", hint=f"When that is over: stockctl deploy unlock {name}")
