"""One database in another's place, by rename, and putting things right when that was cut short.

PostgreSQL keeps what a killed process leaves, so the state is written where it stays: in the
comment of the database. A copy that is being filled bears the mark `restoring`, a replaced one
`kept`, and `returning` while it is on its way back. Marks change in the same transaction as the
names, so they never lie.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from stockctl.backup.properties import Properties
from stockctl.backup.restorer import copies, sweep_restorers
from stockctl.core.clock import Clock
from stockctl.core.errors import DatabaseFailed, DatabaseUnreachable
from stockctl.core.progress import Progress
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

NAME_BYTES = 63  # NAMEDATALEN - 1; PostgreSQL cuts longer names silently
STAMP = "%Y%m%dt%H%M%Sz"
_COPY = re.compile(r".*_restore_\d{8}t\d{6}z(_\d+)?", re.DOTALL)
# RENAME itself waits 5 s for sessions to go (CountOtherDBBackends in procarray.c).
_RENAME_TRIES = 3
_POLLS, _POLL_S = 200, 0.01


@dataclass(frozen=True, slots=True)
class Mark:
    """What the comment of a database of ours says. `live` is the database it belongs to,
    `closed` that we are about to close that one to connections, `comment` its own one."""

    stockctl: Literal["restoring", "kept", "returning"]
    live: str
    backup: str
    closed: bool = False
    comment: str | None = None

    def text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def parse(cls, text: str | None) -> Mark | None:
        """None for a comment that is not ours."""
        try:
            mark = cls(**json.loads(text or ""))
        except (ValueError, TypeError):
            return None
        return mark if mark.stockctl in ("restoring", "kept", "returning") else None


@contextmanager
def maintenance(database: Database) -> Iterator[Connection[Any]]:
    """A connection beside the database: what is being renamed must have no session."""
    names = [name for name in ("postgres", "template1") if name != database.dsn.database]
    try:
        connection = database.to(names[0]).connect()
    except DatabaseUnreachable:
        if len(names) == 1:
            raise
        connection = database.to(names[1]).connect()
    with connection:
        yield connection


def recover(database: Database, progress: Progress, *, quiet: bool = False) -> None:
    """Puts right what an interrupted restore of this database left: opens the live one when it
    was closed for the swap, drops the half-restored copy. Touches only what bears our mark.

    The caller holds the backup lock, so nobody is at work on what is found.
    """
    live = database.dsn.database
    with maintenance(database) as connection, errors("tidy up after an interrupted restore"):
        names, unmarked = _comments(connection), copies(connection, live)
        for name, comment in names.items():
            mark = Mark.parse(comment)
            if mark and mark.stockctl == "returning" and mark.live == live != name:
                _stay(connection, name, mark)
            if not _COPY.fullmatch(name) or name == live:
                continue
            if mark is None and name in unmarked:
                mark = Mark("restoring", live, backup="")
            if mark is None and name.startswith(f"{live}_"):
                progress.warn(
                    f"{name} is named like a half-restored copy but bears no mark: it stays."
                    " If nobody needs it, drop it by hand."
                )
            if mark is None or mark.stockctl != "restoring" or mark.live != live:
                continue
            if mark.closed and live in names:
                connection.execute(_sql("ALTER DATABASE {} ALLOW_CONNECTIONS true", live))
            connection.execute(_sql("DROP DATABASE IF EXISTS {} WITH (FORCE)", name))
            if not quiet:
                progress.say(f"dropped {name}, the half-restored copy of an interrupted restore")
        sweep_restorers(connection, live)


def _stay(connection: Connection[Any], name: str, mark: Mark) -> None:
    """An undo was cut short before its commit: both are where they were, and open again."""
    with connection.transaction():
        for each in (mark.live, name):
            if mark.closed:
                connection.execute(_sql("ALTER DATABASE {} ALLOW_CONNECTIONS true", each))
        back = replace(mark, stockctl="kept", closed=False)
        connection.execute(_comment(name, back.text()))


def mark_of(connection: Connection[Any], name: str) -> Mark | None:
    """What the database's comment says, if it is one of ours."""
    return Mark.parse(_comments(connection).get(name))


def kept(connection: Connection[Any], live: str) -> tuple[str, ...]:
    """The replaced databases that are still there, by name."""
    marks = {name: Mark.parse(text) for name, text in _comments(connection).items()}
    return tuple(
        name
        for name, mark in marks.items()
        if mark and mark.stockctl == "kept" and mark.live == live and name != live
    )


def free_name(connection: Connection[Any], live: str, what: str, now: datetime) -> str:
    """`<live>_<what>_20261122t030000z`, cut to fit and numbered when it is taken."""
    taken = _comments(connection)
    for number in range(1, 1000):
        tail = "" if number == 1 else f"_{number}"
        name = _fitted(live, f"_{what}_{now.strftime(STAMP)}{tail}")
        if name not in taken:
            return name
    raise DatabaseFailed(f"no free name for a copy of {live}")


def create_copy(connection: Connection[Any], name: str, like: Properties, mark: Mark) -> None:
    """An empty database that nobody but its owner can enter, marked as ours."""
    with errors(f"create {name}"):
        # Closed at birth: PUBLIC may enter a new database until it is revoked.
        connection.execute(like.create(name))
        with connection.transaction():
            connection.execute(_comment(name, mark.text()))
            connection.execute(_sql("REVOKE ALL ON DATABASE {} FROM PUBLIC", name))
            connection.execute(_sql("ALTER DATABASE {} ALLOW_CONNECTIONS true", name))


def put_in_place(connection: Connection[Any], like: Properties, new: str, clock: Clock) -> None:
    """Where there is no live one: the copy gets the name, in one transaction with its comment."""
    with errors(f"name {new} {like.name}"):
        connection.execute(_sql("ALTER DATABASE {} ALLOW_CONNECTIONS false", new))
        _empty(connection, (new,), clock)
        with connection.transaction():
            connection.execute(_sql("ALTER DATABASE {} RENAME TO {}", new, like.name))
            connection.execute(like.reopen(like.name))
            connection.execute(_comment(like.name, like.comment))


def swap(
    connection: Connection[Any],
    live: Properties,
    new: str,
    keep_as: str,
    mark: Mark,
    *,
    clock: Clock,
    on_closed: Callable[[], None],
) -> float:
    """Closes both databases, ends their sessions, renames both in one transaction.

    Returns how long the live one could not be entered, in seconds. Raises DatabaseFailed when
    somebody cannot be made to leave; `recover` opens the live one again.
    """
    with errors(f"put {new} in the place of {live.name}"):
        connection.execute(_comment(new, mark.text()))
        began_s = clock.monotonic()
        with connection.transaction():
            connection.execute(_sql("ALTER DATABASE {} ALLOW_CONNECTIONS false", live.name))
            connection.execute(_sql("ALTER DATABASE {} ALLOW_CONNECTIONS false", new))
        on_closed()
        for _try in range(_RENAME_TRIES):
            _empty(connection, (live.name, new), clock)
            if _renamed(connection, live, new, keep_as, mark):
                return clock.monotonic() - began_s
        left = _sessions(connection, live.name)
    raise DatabaseFailed(
        f"{live.name} could not be renamed: sessions do not leave it",
        details="\n".join(f"pid {pid}: {who}" for pid, who in left),
        hint="End them (a role may end only its own sessions), then run it again.",
    )


def _renamed(
    connection: Connection[Any], live: Properties, new: str, keep_as: str, mark: Mark
) -> bool:
    from psycopg.errors import ObjectInUse

    kept_mark = Mark("kept", live.name, mark.backup, comment=live.comment)
    own = mark.comment if mark.stockctl == "returning" else live.comment
    try:
        with connection.transaction():
            connection.execute(_sql("ALTER DATABASE {} RENAME TO {}", live.name, keep_as))
            connection.execute(_sql("ALTER DATABASE {} RENAME TO {}", new, live.name))
            for name in (live.name, keep_as):
                connection.execute(live.reopen(name))
            connection.execute(_comment(live.name, own))
            connection.execute(_comment(keep_as, kept_mark.text()))
    except ObjectInUse:
        return False
    return True


def _empty(connection: Connection[Any], names: tuple[str, ...], clock: Clock) -> None:
    """Ends sessions until none is left; those that were just entering show up a moment later."""
    from psycopg.errors import InsufficientPrivilege

    for _poll in range(_POLLS):
        pids = [pid for name in names for pid, _who in _sessions(connection, name)]
        if not pids:
            return
        for pid in pids:
            try:
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
            except InsufficientPrivilege:
                pass  # a superuser's: it may leave by itself, else the rename says so
        clock.sleep(_POLL_S)


def _sessions(connection: Connection[Any], name: str) -> list[tuple[int, str]]:
    return connection.execute(
        "SELECT pid, concat_ws(' ', backend_type, usename, application_name)"
        " FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
        (name,),
    ).fetchall()


def _comments(connection: Connection[Any]) -> dict[str, str | None]:
    """Every database with its comment."""
    with errors("list the databases"):
        return dict(
            connection.execute(
                "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database ORDER BY 1"
            ).fetchall()
        )


def _fitted(live: str, tail: str) -> str:
    room = NAME_BYTES - len(tail)
    return live.encode()[:room].decode(errors="ignore") + tail


def _comment(name: str, text: str | None) -> Any:
    from psycopg import sql

    return sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text))


def _sql(template: str, *names: str) -> Any:
    from psycopg import sql

    return sql.SQL(template).format(*map(sql.Identifier, names))
