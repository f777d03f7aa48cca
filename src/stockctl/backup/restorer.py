"""Who a restore works as: never as a superuser, since a dump brings SQL and functions along.

`SET ROLE` is no protection: a function in a CHECK constraint runs while rows are loaded, and
`set_config('role', 'none')` gives it back what the session logged in with. So where we are
superuser, a role is made that can do nothing but own the copy; what it made goes to the owner in
the end (https://www.postgresql.org/docs/current/sql-reassign-owned.html).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stockctl.backup.archive import Contents
from stockctl.backup.archive_head import Entry
from stockctl.backup.fingerprint import quoted
from stockctl.backup.publications import PUBLICATIONS, publishing
from stockctl.core.errors import DatabaseUnreachable, Refused
from stockctl.core.secret import Secret
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

_PREFIX = "stockctl_restore_"
_MARK = "stockctl: made for a restore of "
_OURS = """
SELECT rolname FROM pg_roles
WHERE shobj_description(oid, 'pg_authid') = %s AND starts_with(rolname, %s)
"""
# What only a superuser can make (the CREATE commands' pages in the PostgreSQL manual).
_NEEDS_SUPERUSER = (
    "ACCESS METHOD",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "SHELL TYPE",  # the first half of a type that is written in C
    "SUBSCRIPTION",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "TRANSFORM",
)
# Languages in which a function can do whatever the server can; the others end with their u.
_UNTRUSTED = re.compile(r"c|internal|pl(python[23]?|perl|tcl|r)u|plr")
_CAST = re.compile(r"CREATE CAST \((.+) AS (.+)\) WITH (?:FUNCTION|INOUT)\b")
# Nobody else may own these (the ALTER commands' pages).
_OF_SUPERUSERS = {
    "EVENT TRIGGER": "SELECT evtname FROM pg_event_trigger WHERE evtowner = %s::regrole",
    "FOREIGN DATA WRAPPER": "SELECT fdwname FROM pg_foreign_data_wrapper"
    " WHERE fdwowner = %s::regrole",
    "SUBSCRIPTION": "SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid"
    " WHERE datname = current_database() AND subowner = %s::regrole",
}
# Of these, what pg_dump has after the rows.
AFTER_ROWS = ("EVENT TRIGGER", *PUBLICATIONS, "SUBSCRIPTION")


@dataclass(frozen=True, slots=True)
class Restorer:
    """`database` is the server as it sees it. `own` says that it was made for this restore."""

    database: Database
    name: str
    own: bool

    def entering(self, copy: str) -> Database:
        """The copy, as the restorer."""
        return self.database.to(copy)

    @property
    def arguments(self) -> tuple[str, ...]:
        """For pg_restore."""
        common = ("--exit-on-error", "--no-owner", "--no-acl")
        return common if self.own else (*common, f"--role={self.name}")


def needing_superuser(contents: Contents) -> list[Entry]:
    """What only a superuser can make."""
    types = contents.of_kind("TYPE", "DOMAIN")
    ours = {f"{quoted(each.schema)}.{quoted(each.name)}" for each in types}
    return [
        each
        for each in contents.entries
        if each.kind in _NEEDS_SUPERUSER
        or _UNTRUSTED.fullmatch(each.language)
        or (each.kind == "CAST" and not _may_cast(each, ours))
        or (each.kind in PUBLICATIONS and not publishing(each))
    ]


def _may_cast(entry: Entry, ours: set[str]) -> bool:
    """Whoever owns one of the two types may, unless it takes their bytes as they are."""
    found = _CAST.match(entry.sql)
    return bool(found) and not ours.isdisjoint(found.groups() if found else ())


def is_superuser(connection: Connection[Any]) -> bool:
    """Whether the session is one."""
    with errors("look who we are"):
        row = connection.execute("SELECT current_setting('is_superuser') = 'on'").fetchone()
    return bool(row and row[0])


def choose_restorer(
    connection: Connection[Any], database: Database, owner: str, *, trusted: bool
) -> Restorer:
    """The role for a copy that will be `owner`'s. `trusted`: a superuser, so the owner where that
    is one. Raises Refused when the new role cannot log in.

    A new one is dropped by `hand_over`, or by the next run (`sweep_restorers`).
    """
    if not is_superuser(connection) or (trusted and _is_one(connection, owner)):
        return Restorer(database, owner, own=False)
    made = _make(connection, database, "SUPERUSER" if trusted else "")
    try:
        _require_login(made)
    except Refused:
        connection.execute(_sql("DROP ROLE {}", made.name))
        raise
    return made


def hand_over(
    connection: Connection[Any], database: Database, copy: str, made: Restorer, owner: str
) -> None:
    """All that is the restorer's still, and the copy itself, becomes the owner's."""
    if not made.own:
        return
    with errors(f"give {copy} to {owner}"):
        with database.to(copy).connect() as inside:
            for kind, query in _OF_SUPERUSERS.items():
                for (name,) in inside.execute(query.encode(), (made.name,)).fetchall():
                    give = f"ALTER {kind} {{}} OWNER TO CURRENT_USER"
                    inside.execute(_sql(give, name))
            inside.execute(_sql("REASSIGN OWNED BY {} TO {}", made.name, owner))
            inside.execute(_sql("DROP OWNED BY {}", made.name))
        connection.execute(_sql("DROP ROLE {}", made.name))


def _is_one(connection: Connection[Any], role: str) -> bool:
    query = "SELECT rolsuper FROM pg_roles WHERE rolname = %s"
    row = connection.execute(query, (role,)).fetchone()
    return bool(row and row[0])


def sweep_restorers(connection: Connection[Any], live: str) -> None:
    """Drops the roles that a killed restore of this database left. Their copies are gone."""
    found = connection.execute(_OURS, (_MARK + live, _PREFIX)).fetchall()
    for (name,) in found:
        connection.execute(_sql("DROP OWNED BY {}", name))  # what it may do in tablespaces
        connection.execute(_sql("DROP ROLE IF EXISTS {}", name))


def copies(connection: Connection[Any], live: str) -> frozenset[str]:
    """The databases that such a role owns: also one that was killed before it got its mark."""
    query = (
        f"SELECT datname FROM pg_database JOIN ({_OURS}) ours ON rolname = pg_get_userbyid(datdba)"
    )
    rows = connection.execute(query.encode(), (_MARK + live, _PREFIX)).fetchall()
    return frozenset(name for (name,) in rows)


def _make(connection: Connection[Any], database: Database, power: str) -> Restorer:
    from psycopg import sql

    name, password = f"{_PREFIX}{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    # Hashed here: a server may log the statements that it runs.
    hashed = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    with errors("make a role for the restore"), connection.transaction():
        role = sql.Identifier(name)
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
                role, sql.SQL(power), sql.Literal(hashed)
            )
        )
        mark = sql.Literal(_MARK + database.dsn.database)
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, mark))
    dsn = replace(database.dsn, user=name, password=Secret(password))
    return Restorer(replace(database, dsn=dsn), name, own=True)


def _require_login(made: Restorer) -> None:
    try:
        made.entering("template1").connect().close()
    except DatabaseUnreachable as error:
        raise Refused(
            "a role that is made for the restore cannot log in, and a dump is not restored as a"
            " superuser",
            details=error.details,
            hint="Let it in (pg_hba.conf), or take a database.url whose user is no superuser and"
            " owns the database, or trust what is in the dump: --trust-dump.",
        ) from None


def _sql(template: str, *names: str) -> Any:
    from psycopg import sql

    return sql.SQL(template).format(*map(sql.Identifier, names))
