"""The Release noun and where releases are recorded on the host.

    <directory>/live.json                  which release serves; replacing it is the commit
    <directory>/releases/r0007/release.json
    <directory>/releases/r0007/compose.json   the rendered configuration, secrets included, 0600
    <directory>/releases/r0007/project.json   with `rolling`: the release's own compose project

A release folder without an entry in `live.json` is one that never went live. Everything that a
rollback starts lies here: neither compose files nor the env file are needed again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from stockctl.core.errors import HostFailed
from stockctl.core.progress import StepEnded
from stockctl.core.units import format_instant, parse_instant
from stockctl.system.compose import Rendered
from stockctl.system.host import Host, content

RECORD = "release.json"


class ReleaseState(StrEnum):
    """How a release stands; `started` without a running deploy means that it was interrupted."""

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a deploy, for the record."""

    name: str
    duration_s: float
    ok: bool


@dataclass(frozen=True, slots=True)
class Release:
    """One attempt to put a version live."""

    id: str
    version: str
    image: str
    image_id: str
    created_at: datetime
    who: str
    url: str
    health: str
    state: ReleaseState = ReleaseState.STARTED
    previous: str | None = None
    schema_head: str | None = None
    migrations: tuple[str, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    reason: str = ""  # why it failed, or was withdrawn
    commit: str | None = None  # of the code in the image, as far as it is known
    dirty: bool = False  # built from a working tree that differed from the commit
    waiting: tuple[str, ...] = ()  # contract migrations that were there and not applied
    configuration: str | None = None  # a digest: equal where what it was started with is equal

    def to_json(self) -> dict[str, Any]:
        """As it stands in `release.json` and in `--json`."""
        return {**asdict(self), "created_at": format_instant(self.created_at)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Release:
        """The inverse. Raises ValueError, KeyError, TypeError for anything else."""
        return cls(
            **{
                **fields,
                "created_at": parse_instant(fields["created_at"]),
                "state": ReleaseState(fields["state"]),
                "migrations": tuple(fields["migrations"]),
                "waiting": tuple(fields.get("waiting", ())),
                "steps": tuple(StepRecord(**step) for step in fields["steps"]),
            }
        )

    def expects(self, migration: str) -> bool:
        """Whether it can do without what a contract migration takes away: it came with it."""
        return migration in self.waiting

    @property
    def withdrawn(self) -> bool:
        """Whether it went live, and watching it found that it had to go."""
        return self.state is ReleaseState.FINISHED and bool(self.reason)

    def ended(self, state: ReleaseState, steps: tuple[StepEnded, ...], reason: str = "") -> Release:
        """The same release with its outcome."""
        records = tuple(StepRecord(s.name, round(s.duration_s, 3), s.ok) for s in steps)
        return replace(self, state=state, steps=records, reason=reason)


@dataclass(frozen=True, slots=True)
class Standing:
    """Which release serves, which one it replaced, and since when."""

    release: str
    replaced: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Records:
    """What was recorded at one moment, by release; read from a record when it is asked for."""

    folder: Path
    found: Mapping[str, bytes]

    def ids(self) -> list[str]:
        """Every release, oldest first."""
        return list(self.found)

    def get(self, release_id: str) -> Release:
        """Raises HostFailed when the record is missing or not one of ours."""
        if release_id not in self.found:
            raise HostFailed(f"{self.folder / release_id / RECORD} is not there")
        return parsed(self.folder / release_id / RECORD, self.found[release_id])

    def all(self) -> list[Release]:
        """Oldest first."""
        return [self.get(release_id) for release_id in self.found]


def parsed(path: Path, data: bytes) -> Release:
    """What a record says. Raises HostFailed where it is not one of ours."""
    try:
        return Release.from_json(json.loads(data))
    except (ValueError, KeyError, TypeError) as error:
        raise HostFailed(f"{path} is not a release record") from error


@dataclass(frozen=True, slots=True)
class Releases:
    """The records of one environment."""

    host: Host
    directory: Path

    @property
    def folder(self) -> Path:
        return self.directory / "releases"

    def compose_file(self, release_id: str) -> Path:
        """Where a release's rendered configuration lies."""
        return self.folder / release_id / "compose.json"

    def project_file(self, release_id: str) -> Path:
        """Where a release's own compose project lies, with the strategy `rolling`."""
        return self.folder / release_id / "project.json"

    def _record(self, release_id: str) -> Path:
        return self.folder / release_id / RECORD

    def ids(self) -> list[str]:
        """Every release, oldest first; folders that hold no record yet are left out."""
        return self.records().ids()

    def records(self) -> Records:
        """All of them: one question, however many there are."""
        found = self.host.found_below(self.folder, RECORD)
        return Records(self.folder, {n: data for n, data in found.items() if n.startswith("r")})

    def next_id(self) -> str:
        """One more than the highest there ever was."""
        numbers = [int(n[1:]) for n in self.host.names(self.folder) if n[1:].isdigit()]
        return f"r{max(numbers, default=0) + 1:04d}"

    def get(self, release_id: str) -> Release:
        """Raises HostFailed when the record is missing or not one of ours."""
        path = self._record(release_id)
        return parsed(path, self.host.read(path))

    def all(self) -> list[Release]:
        """Oldest first."""
        return self.records().all()

    def put(self, release: Release) -> None:
        """Write the record."""
        data = json.dumps(release.to_json(), indent=1).encode() + b"\n"
        self.host.write(self._record(release.id), data)

    def put_compose(self, release_id: str, rendered: Rendered) -> None:
        """Write the configuration that the release runs with."""
        self.host.write(self.compose_file(release_id), rendered.to_bytes())

    def live(self) -> Release | None:
        """The release that serves."""
        standing = self.standing()
        return self.get(standing.release) if standing else None

    def standing(self) -> Standing | None:
        """What `live.json` says."""
        path = self.directory / "live.json"
        data = content(self.host, path)
        if data is None:
            return None
        try:
            said = json.loads(data)
            since = parse_instant(said["since"]) if said.get("since") else None
            return Standing(said["release"], said.get("replaced"), since)
        except (ValueError, KeyError, TypeError) as error:
            raise HostFailed(f"{path} is not a record of the live release") from error

    def served_s(self, standing: Standing | None) -> float | None:
        """For how long what stands, read just now, has done so; None where nothing does, or it was
        found and not deployed. By one clock, the host's: who deployed and who asks may have
        others, hours or years apart."""
        if standing is None or standing.since is None:
            return None
        script = 'echo $(( $(date +%s) - $(stat -c %Y "$1") ))'
        return float(self.host.ask(script, str(self.directory / "live.json")))

    def set_live(
        self, release_id: str, replaced: Release | None = None, since: datetime | None = None
    ) -> None:
        """The commit of a deploy or rollback."""
        said = {
            "release": release_id,
            "replaced": replaced.id if replaced else None,
            "since": format_instant(since) if since else None,
        }
        self.host.write(self.directory / "live.json", json.dumps(said).encode() + b"\n")

    def forget(self, release_id: str) -> None:
        """Remove a release's files, the one with secrets first: without its record the folder
        would not be found again."""
        secret = (self.compose_file(release_id), self.project_file(release_id))
        self.host.remove(*secret, self.folder / release_id)
