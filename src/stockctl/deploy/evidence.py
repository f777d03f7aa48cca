"""What was proved, when and by whom, for gates that ask later.

<directory>/evidence/smoke.json     the newest of each kind; the journal has them all
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stockctl.core.units import format_instant, parse_instant
from stockctl.system.host import Host, content

FORMAT = 1
SMOKE_FAILED = "smoke-failed"  # the newest that did not pass, whatever came after it


@dataclass(frozen=True, slots=True)
class Evidence:
    """`of` is what it was proved of: the id of an image, a version; empty where it is of nothing
    that changes. `detail` is what a person reads."""

    kind: str
    at: datetime
    ok: bool
    who: str
    of: str = ""
    detail: str = ""


def identity(version: str, commit: str | None) -> str:
    """Of what will be built: its version, and from which commit where that is known."""
    return f"{version}@{commit}" if commit else version


@dataclass(frozen=True, slots=True)
class EvidenceBook:
    """The newest evidence of each kind, of one environment."""

    host: Host
    directory: Path

    def _file(self, kind: str) -> Path:
        return self.directory / "evidence" / f"{kind}.json"

    def put(self, found: Evidence) -> None:
        """Raises HostFailed."""
        fields = {
            "stockctl_evidence": FORMAT,
            "kind": found.kind,
            "at": format_instant(found.at),
            "ok": found.ok,
            "who": found.who,
            "of": found.of,
            "detail": found.detail,
        }
        data = json.dumps(fields, indent=1, ensure_ascii=False).encode() + b"\n"
        self.host.write(self._file(found.kind), data)

    def get(self, kind: str) -> Evidence | None:
        """None where there is none, or one that cannot be read: then it proves nothing."""
        file = self._file(kind)
        data = content(self.host, file)
        if data is None:
            return None
        try:
            said = json.loads(data)
            at = parse_instant(said["at"])
            return Evidence(
                kind, at, said["ok"] is True, str(said["who"]), str(said["of"]), str(said["detail"])
            )
        except (ValueError, KeyError, TypeError):
            return None
