"""`db repair`: a person says how it is, where the ledger cannot know.

Runs no script of a migration; only what is remembered about one is changed. Never a guess: each
situation has its own choices, and where the database itself contradicts a choice it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from stockctl.core.clock import Clock, SystemClock
from stockctl.core.errors import Refused, UsageError
from stockctl.db.concurrently import concurrent_index, find_index
from stockctl.db.ledger import Entry, State, Status, compare
from stockctl.db.lock import LOCK_WAIT_S
from stockctl.db.migration import Migration
from stockctl.db.plan import find
from stockctl.db.record import Stage, accepted, forgotten, read_records, staged
from stockctl.db.session import Limits, Session, open_session
from stockctl.db.yoyo_ledger import marked, unmarked
from stockctl.system.postgres import Database

if TYPE_CHECKING:
    from psycopg import Connection

_CLOCK = SystemClock()
_TIMEOUT_S = 10.0  # our own rows: nobody else holds them for long


class As(StrEnum):
    """How it is, in the words of `--as`."""

    APPLIED = "applied"
    REVERTED = "reverted"
    ACCEPTED = "accepted"


class Situation(StrEnum):
    """What is out of joint with a migration."""

    CHANGED = "changed"
    MISSING = "missing"
    APPLYING = "dirty, its statement began"
    REVERTING = "dirty, its down script began"
    UNKNOWN = "applied without checksum"


@dataclass(frozen=True, slots=True)
class Way:
    """One choice: what it says of the database, and what is written."""

    means: str
    marks: Callable[[Connection[Any], Migration | None, str, str], bytes]


def _accept(connection: Connection[Any], file: Migration | None, _identity: str, who: str) -> bytes:
    assert file is not None
    return accepted(connection, file, who)


def _forget(connection: Connection[Any], _file: Migration | None, identity: str, who: str) -> bytes:
    return unmarked(connection, identity, who) + forgotten(connection, identity)


def _forget_attempt(
    connection: Connection[Any], _file: Migration | None, identity: str, _who: str
) -> bytes:
    return forgotten(connection, identity)


def _complete(
    connection: Connection[Any], _file: Migration | None, identity: str, who: str
) -> bytes:
    return marked(connection, identity, who, staged(connection, identity, Stage.APPLIED))


def _stay(connection: Connection[Any], _file: Migration | None, identity: str, _who: str) -> bytes:
    return staged(connection, identity, Stage.APPLIED)


WAYS: Mapping[Situation, Mapping[As, Way]] = {
    Situation.CHANGED: {
        As.ACCEPTED: Way("the file as it is now gives the schema that was applied", _accept)
    },
    Situation.UNKNOWN: {
        As.ACCEPTED: Way("the file as it is now gives the schema that was applied", _accept)
    },
    Situation.MISSING: {
        As.REVERTED: Way(
            "nothing of it is left in the database, its file is gone for good", _forget
        )
    },
    Situation.APPLYING: {
        As.APPLIED: Way("its statement took effect, all of it", _complete),
        As.REVERTED: Way("nothing of it is in the database", _forget_attempt),
    },
    Situation.REVERTING: {
        As.APPLIED: Way("all of it is still in the database", _stay),
        As.REVERTED: Way("nothing of it is left in the database", _forget),
    },
}


@dataclass(frozen=True, slots=True)
class Repair:
    """What would be written about one migration, and what it means."""

    id: str
    situation: Situation
    choice: As
    file: Migration | None

    @property
    def way(self) -> Way:
        return WAYS[self.situation][self.choice]


def repairable(status: Status) -> tuple[tuple[Entry, Situation], ...]:
    """What a person has to say something about."""
    found = ((entry, situation_of(entry)) for entry in status.entries)
    return tuple((entry, situation) for entry, situation in found if situation)


def situation_of(entry: Entry) -> Situation | None:
    """None where there is nothing to be said."""
    match entry.state:
        case State.CHANGED:
            return Situation.CHANGED
        case State.MISSING:
            return Situation.MISSING
        case State.DIRTY:
            reverting = entry.stage is Stage.REVERTING
            return Situation.REVERTING if reverting else Situation.APPLYING
        case State.APPLIED if entry.record is not None and entry.record.checksum is None:
            return Situation.UNKNOWN
        case _:
            return None


def plan_repair(status: Status, files: Sequence[Migration], wanted: str, choice: As) -> Repair:
    """Raises UsageError for a migration that nobody knows and for a choice that does not fit;
    Refused where there is nothing to repair."""
    entries = {entry.id: entry for entry in status.entries}
    identity = find(wanted, list(entries))
    entry = entries[identity]
    situation = situation_of(entry)
    if situation is None:
        raise Refused(
            f"{identity} is {entry.state}: there is nothing to repair",
            hint=entry.advice or "See: stockctl db status ENV",
        )
    if choice not in WAYS[situation]:
        raise UsageError(
            f"{identity} is {situation}: --as {choice} does not fit",
            hint="\n".join(described(situation)),
        )
    file = next((each for each in files if each.id == identity), None)
    return Repair(identity, situation, choice, file)


def described(situation: Situation) -> tuple[str, ...]:
    """The choices, a line each."""
    return tuple(f"--as {choice}: {way.means}" for choice, way in WAYS[situation].items())


def repair(
    database: Database,
    plan: Repair,
    files: Sequence[Migration],
    *,
    lock_wait_s: float = LOCK_WAIT_S,
    clock: Clock = _CLOCK,
) -> None:
    """Writes it, under the lock of migrations. Raises Locked; Refused when things have changed
    since the plan was made, or when the database says something else than the person."""
    with open_session(database, Limits(_TIMEOUT_S, _TIMEOUT_S), clock, lock_wait_s) as session:
        records = read_records(session.connection)
        entries = {entry.id: entry for entry in compare(files, records).entries}
        entry = entries.get(plan.id)
        if entry is None or situation_of(entry) is not plan.situation:
            raise Refused(
                f"{plan.id} has changed since the repair was planned",
                hint="See: stockctl db status ENV",
            )
        _refuse_untrue(session, entry, plan)
        session.record(plan.way.marks(session.connection, plan.file, plan.id, session.who))


def _refuse_untrue(session: Session, entry: Entry, plan: Repair) -> None:
    """Of an index that is built concurrently the database knows by itself how far it came."""
    running = entry.record.running if entry.record else None
    index = concurrent_index(running or "")
    if index is None or not index.name or plan.situation is not Situation.APPLYING:
        return
    found = find_index(session.connection, index)
    complete = found is not None and found.valid
    if complete == (plan.choice is As.APPLIED) and (found is None or complete):
        return
    what = "is not there" if found is None else "is complete" if complete else "is invalid"
    name = found.name if found else index.name
    raise Refused(
        f"{plan.id} cannot be taken as {plan.choice}: the index {name} {what}",
        hint="stockctl db migrate ENV deals with it: it clears away what is left and starts over.",
    )
