"""`stockctl backup tidy`: what restores left is dropped, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stockctl.backup.create import locked
from stockctl.backup.properties import exists
from stockctl.backup.remnants import Kind, Remnant, remnants
from stockctl.backup.stores.base import Store
from stockctl.backup.swap import maintenance, mark_of, recover
from stockctl.core.errors import DatabaseFailed, DatabaseUnreachable, Refused
from stockctl.core.progress import Progress
from stockctl.core.units import format_age, format_duration
from stockctl.system.host import Holder, Host
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

LOCK_TIMEOUT_S = 5  # a table that somebody reads is not waited for
_SESSIONS = """
SELECT pid, concat_ws(' ', usename, application_name) FROM pg_stat_activity
WHERE datname = %s AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one of them, and why."""

    remnant: Remnant
    reason: str


@dataclass(frozen=True, slots=True)
class TidyPlan:
    """What goes and what stays. `undo_after`: whether `backup undo` has something to bring back
    then."""

    environment: str
    database: str
    remove: tuple[Verdict, ...]
    keep: tuple[Verdict, ...]

    @property
    def undo_after(self) -> bool:
        kinds = (Kind.KEPT, Kind.RETURNING)
        return any(each.remnant.kind in kinds for each in self.keep)

    @property
    def ends_undo(self) -> bool:
        """Whether that is otherwise before."""
        gone = any(each.remnant.kind is Kind.KEPT for each in self.remove)
        return gone and not self.undo_after


def plan_tidy(
    database: Database, environment: str, now: datetime, older_than_s: float = 0.0
) -> TidyPlan:
    """Looks, changes nothing. Raises Refused where there is no live database, DatabaseUnreachable,
    DatabaseFailed."""
    live = database.dsn.database
    _require_live(database)
    try:
        connection = database.connect()
    except DatabaseUnreachable:  # a restore that was killed has closed it; `tidy` opens it
        with maintenance(database) as beside:
            found = remnants(beside, live)
    else:
        with connection:
            found = remnants(connection, live)
    return judged(environment, live, found, now, older_than_s)


def judged(
    environment: str, live: str, found: Sequence[Remnant], now: datetime, older_than_s: float
) -> TidyPlan:
    """Pure. What an unfinished undo needs stays; an unfinished copy goes, whatever its age, since
    under the lock nobody is at work on it."""
    remove, keep = [], []
    for each in found:
        age_s = each.age_s(now)
        if each.kind is Kind.RETURNING:
            keep.append(Verdict(each, "an undo was cut short: run it again"))
        elif each.kind is Kind.UNFINISHED:
            remove.append(Verdict(each, "the copy of a restore that was cut short"))
        elif older_than_s and (age_s is None or age_s < older_than_s):
            why = f"not older than {format_duration(older_than_s)}"
            keep.append(Verdict(each, why if age_s is not None else "its age is not known"))
        else:
            remove.append(Verdict(each, _why(each, age_s)))
    return TidyPlan(environment, live, tuple(remove), tuple(keep))


def tidy(
    plan: TidyPlan,
    database: Database,
    store: Store,
    *,
    host: Host,
    directory: Path,
    lock_holder: Holder,
    progress: Progress,
) -> tuple[Remnant, ...]:
    """Drops what the plan names and still bears our mark; returns what went. What has sessions is
    in use, and stays. Raises Locked, Refused, DatabaseFailed."""
    with locked(store, plan.environment, host, directory, lock_holder):
        _require_live(database)
        recover(database, progress)  # drops the unfinished
        there = _there(database)
        gone = []
        with progress.step("tidy") as step:
            for each in plan.remove:
                known = (each.remnant.name, each.remnant.kind) in there
                if each.remnant.kind is Kind.UNFINISHED and not known:
                    gone.append(each.remnant)
                elif known and _dropped(database, each.remnant):
                    gone.append(each.remnant)
                    step.line(f"dropped {each.remnant.name}: {each.reason}")
            step.detail = f"{len(gone)} dropped"
    return tuple(gone)


def _dropped(database: Database, remnant: Remnant) -> bool:
    if remnant.kind is Kind.TABLE:
        with database.connect() as connection, errors(f"drop {remnant.name}"):
            connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'".encode())
            connection.execute(f"DROP TABLE IF EXISTS {remnant.name}".encode())
        return True
    with maintenance(database) as connection:
        return _drop_database(connection, remnant.name, database.dsn.database)


def _drop_database(connection: Connection[Any], name: str, live: str) -> bool:
    """Looked at again: under the lock nobody renames, and the mark goes with the name."""
    from psycopg import sql

    mark = mark_of(connection, name)
    if mark is None or mark.stockctl != "kept" or mark.live != live or name == live:
        return False
    with errors(f"look who is in {name}"):
        inside = connection.execute(_SESSIONS, (name,)).fetchall()
    if inside:
        raise DatabaseFailed(
            f"{name} is in use, and stays",
            details="\n".join(f"pid {pid}: {who}" for pid, who in inside),
            hint="Whoever uses it means another database, or wants this one: end the session, then"
            " run it again.",
        )
    with errors(f"drop {name}"):
        identifier = sql.Identifier(name)
        connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(identifier))
        connection.execute(sql.SQL("DROP DATABASE {}").format(identifier))
    return True


def _require_live(database: Database) -> None:
    """Without it what a restore kept may be all that there is."""
    name = database.dsn.database
    with maintenance(database) as connection:
        if not exists(connection, name):
            raise Refused(
                f"there is no database {name}: what restores left is not touched",
                hint="Bring it back first: stockctl backup restore ENV --plan",
            )


def _there(database: Database) -> set[tuple[str, Kind]]:
    with database.connect() as connection:
        return {(each.name, each.kind) for each in remnants(connection, database.dsn.database)}


def _why(remnant: Remnant, age_s: float | None) -> str:
    when = "" if age_s is None else f", {format_age(age_s)}"
    if remnant.kind is Kind.TABLE:
        return f"brought back by restore --table{when}"
    return f"replaced by a restore{when}"
