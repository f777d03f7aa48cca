"""A gate and what it is asked about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stockctl.backup.stores.base import Store
from stockctl.core.units import format_duration
from stockctl.deploy.evidence import EvidenceBook, identity
from stockctl.deploy.site import Site
from stockctl.env.gate_settings import GateSettings
from stockctl.system.host import Host


@dataclass(frozen=True, slots=True)
class Gate:
    """One answer. `since`: from when it holds, or when it was last proved; `fix`: what to do."""

    name: str
    ok: bool
    detail: str
    since: datetime | None = None
    fix: str = ""
    overridden: str = ""  # the reason

    @property
    def passes(self) -> bool:
        return self.ok or bool(self.overridden)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is about to be deployed; `build`: its image does not exist yet. `dirty`: it will be
    built from a working tree that differs from its commit, so that its version names many.
    `commit`: what it will be built from, where that is known."""

    version: str
    reference: str
    build: bool
    dirty: bool = False
    commit: str | None = None

    @property
    def identity(self) -> str:
        """What proofs are of: a tag may be given to two commits."""
        return identity(self.version, self.commit)


@dataclass(frozen=True, slots=True)
class Preflight:
    """Where gates look. `stage` is the environment of `gates.staging`; `here` and `root` are where
    programs of the project run; `errors` is what `env validate` found."""

    site: Site
    store: Store
    candidate: Candidate
    stage: Site | None
    here: Host
    root: Path
    errors: int

    @property
    def settings(self) -> GateSettings:
        return self.site.environment.gates

    @property
    def name(self) -> str:
        return self.site.environment.name

    @property
    def proving(self) -> Site:
        """Where things are tried before they are done here."""
        return self.stage or self.site

    @property
    def evidence(self) -> EvidenceBook:
        return EvidenceBook(self.site.host, self.site.directory)

    def age_s(self, moment: datetime) -> float:
        """Of what was written down for this environment: by its host's clock, now and then."""
        return age_s(self.site, moment)


UNSAVED = "the working tree differs from its commit"
COMMIT = "Commit first, then: {}"

Ask = Callable[[Preflight], Gate]


def age_s(site: Site, moment: datetime) -> float:
    """Seconds since a moment that was written down for that environment."""
    return (site.clock.now() - moment).total_seconds()


SKEW_S = 300.0  # by so much the clocks of two machines may differ without anybody noticing


def fresh(age_s: float, limit_s: float) -> bool:
    """Not longer ago than the limit, and not to come: what was written down while the clock was a
    year ahead would count for a year."""
    return -SKEW_S <= age_s <= limit_s


def aged(site: Site, name: str, moment: datetime, limit_s: float, what: str) -> Gate:
    """Green while `moment`, by the clock of `site`, is not longer ago than the limit."""
    age = age_s(site, moment)
    ago = f"{format_duration(age)} ago" if age >= -SKEW_S else ahead(age)
    said = f"{what} {ago}, at most {format_duration(limit_s)}"
    return Gate(name, fresh(age, limit_s), said, moment)


def ahead(age_s: float) -> str:
    """Of a moment that has not come."""
    return f"{format_duration(-age_s)} from now: a clock is wrong, here or where it was done"
