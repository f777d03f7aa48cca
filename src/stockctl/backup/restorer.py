"""Who a restore works as: never as a superuser, since a dump brings SQL and functions along.

`SET ROLE` is no protection: a function in a CHECK constraint runs while rows are loaded, and
`set_config('role', 'none')` gives it back what the session logged in with. So where we are
superuser, a role is made that can do nothing but own the copy; what it made goes to the owner in
the end (https://www.postgresql.org/docs/current/sql-reassign-owned.html).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stockctl.backup.archive import Entry
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
    "CAST",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "PROCEDURAL LANGUAGE",
    "SUBSCRIPTION",
    "TRANSFORM",
)
# Of these, what pg_dump has after the rows.
AFTER_ROWS = ("EVENT TRIGGER", "SUBSCRIPTION")


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


def needs_superuser(entry: Entry) -> bool:
    """Whether only a superuser can make it."""
    return entry.kind in _NEEDS_SUPERUSER


def is_superuser(connection: Connection[Any]) -> bool:
    """Whether the session is one."""
    with errors("look who we are"):
        row = connection.execute("SELECT current_setting('is_superuser') = 'on'").fetchone()
    return bool(row and row[0])


def choose_restorer(
    connection: Connection[Any], database: Database, owner: str, *, trusted: bool
) -> Restorer:
    """The role for a copy that will be `owner`'s; `trusted`: the owner itself, also where that is
    a superuser. Raises Refused when the new role cannot log in.

    A new one is dropped by `hand_over`, or by the next run (`sweep_restorers`).
    """
    if trusted or not is_superuser(connection):
        return Restorer(database, owner, own=False)
    made = _make(connection, database)
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
            inside.execute(_sql("REASSIGN OWNED BY {} TO {}", made.name, owner))
            inside.execute(_sql("DROP OWNED BY {}", made.name))
        connection.execute(_sql("DROP ROLE {}", made.name))


def sweep_restorers(connection: Connection[Any], live: str) -> None:
    """Drops the roles that a killed restore of this database left. Their copies are gone."""
    found = connection.execute(_OURS, (_MARK + live, _PREFIX)).fetchall()
    for (name,) in found:
        connection.execute(_sql("DROP ROLE IF EXISTS {}", name))


def copies(connection: Connection[Any], live: str) -> frozenset[str]:
    """The databases that such a role owns: also one that was killed before it got its mark."""
    query = (
        f"SELECT datname FROM pg_database JOIN ({_OURS}) ours ON rolname = pg_get_userbyid(datdba)"
    )
    rows = connection.execute(query.encode(), (_MARK + live, _PREFIX)).fetchall()
    return frozenset(name for (name,) in rows)


def _make(connection: Connection[Any], database: Database) -> Restorer:
    from psycopg import sql

    name, password = f"{_PREFIX}{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    # Hashed here: a server may log the statements that it runs.
    hashed = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    with errors("make a role for the restore"), connection.transaction():
        role = sql.Identifier(name)
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(hashed))
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
