"""What a backup keeps beside its dump: the database's own properties, and the roles it needs.

Role passwords are not among them, not even as SCRAM verifiers: the manifest is in the clear, so
that a backup can be listed and chosen without a key. docs/decisions/0029 says what that costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stockctl.backup.properties import Grant, Properties, Setting, assignment
from stockctl.system.postgres import errors

if TYPE_CHECKING:
    from psycopg import Connection

# Who owns something in this database or was granted something, who may enter it, and the roles
# that these are members of or have as members. pg_shdepend knows them for all kinds of objects
# (https://www.postgresql.org/docs/current/catalog-pg-shdepend.html).
_ROLES = """
WITH RECURSIVE here AS (SELECT oid, datdba FROM pg_database WHERE datname = current_database()),
needed(oid) AS (
  SELECT refobjid FROM pg_shdepend s, here WHERE refclassid = 'pg_authid'::regclass
    AND (dbid = here.oid OR (classid = 'pg_database'::regclass AND objid = here.oid))
  UNION SELECT datdba FROM here
  UNION SELECT setrole FROM pg_db_role_setting, here WHERE setdatabase = here.oid
  UNION SELECT oid FROM pg_roles WHERE rolname = current_user
  UNION SELECT CASE WHEN m.member = n.oid THEN m.roleid ELSE m.member END
    FROM needed n JOIN pg_roles r ON r.oid = n.oid AND r.rolname !~ '^pg_'
    JOIN pg_auth_members m ON n.oid IN (m.member, m.roleid)
)
SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
       rolbypassrls, rolconnlimit, rolvaliduntil::text,
       ARRAY(SELECT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE member = r.oid
             ORDER BY 1),
       coalesce(rolconfig, '{}')
FROM pg_roles r WHERE oid IN (SELECT oid FROM needed) AND rolname !~ '^pg_' ORDER BY 1
"""
_ATTRIBUTES = ("inherit", "createrole", "createdb", "login")
# Given back by a person only: a manifest that somebody exchanged must not make a superuser.
_POWERS = ("superuser", "replication", "bypassrls")


@dataclass(frozen=True, slots=True)
class Role:
    """One role without its password. `settings` are `name=value` for all databases."""

    name: str
    superuser: bool
    inherit: bool
    createrole: bool
    createdb: bool
    login: bool
    replication: bool
    bypassrls: bool
    connection_limit: int
    valid_until: str | None
    member_of: tuple[str, ...]
    settings: tuple[str, ...]

    @property
    def powers(self) -> tuple[str, ...]:
        """What it had and is not given again."""
        return tuple(name for name in _POWERS if getattr(self, name))


@dataclass(frozen=True, slots=True)
class Globals:
    """What pg_dump leaves out."""

    database: Properties
    roles: tuple[Role, ...]

    def to_json(self) -> dict[str, Any]:
        """For the manifest; the order is always the same."""
        database = asdict(self.database)
        database["grants"] = sorted(map(list, (_values(g) for g in self.database.grants)))
        database["settings"] = sorted(map(list, (_values(s) for s in self.database.settings)))
        database["locale"] = [list(each) for each in self.database.locale]
        roles = [
            asdict(r) | {"member_of": list(r.member_of), "settings": list(r.settings)}
            for r in self.roles
        ]
        return {"database": database, "roles": roles}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Globals:
        """The inverse. Raises TypeError, ValueError, KeyError, AttributeError."""
        database = dict(fields["database"])
        database["grants"] = frozenset(Grant(*each) for each in database["grants"])
        database["settings"] = frozenset(Setting(*each) for each in database["settings"])
        database["locale"] = tuple((str(k), str(v)) for k, v in database["locale"])
        roles = (
            Role(**(r | {"member_of": tuple(r["member_of"]), "settings": tuple(r["settings"])}))
            for r in fields["roles"]
        )
        return cls(Properties(**database), tuple(roles))


def read_roles(connection: Connection[Any]) -> tuple[Role, ...]:
    """Those that the connection's database needs. Raises DatabaseFailed."""
    with errors("read the roles"):
        rows = connection.execute(_ROLES).fetchall()
    fields: list[tuple[Any, ...]] = [(*r[:-2], tuple(r[-2]), tuple(r[-1])) for r in rows]
    return tuple(Role(*each) for each in fields)


def missing(connection: Connection[Any], roles: Sequence[Role]) -> tuple[Role, ...]:
    """Those that this server has not."""
    with errors("look for the roles"):
        known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
    return tuple(role for role in roles if role.name not in known)


def create_roles(connection: Connection[Any], roles: Sequence[Role]) -> None:
    """All of them or none. Raises DatabaseFailed."""
    with errors("create the roles"), connection.transaction():
        for statement in statements(roles):
            connection.execute(statement)


def statements(roles: Sequence[Role]) -> list[Any]:
    """The SQL that creates them: first all, then who belongs to whom, then their settings."""
    from psycopg import sql

    out: list[Any] = []
    for role in roles:
        words = [("" if getattr(role, a) else "NO") + a.upper() for a in _ATTRIBUTES]
        words.append(f"CONNECTION LIMIT {int(role.connection_limit)}")
        create = sql.SQL("CREATE ROLE {} {}").format(
            sql.Identifier(role.name), sql.SQL(" ").join(map(sql.SQL, words))
        )
        if role.valid_until:
            create += sql.SQL(" VALID UNTIL {}").format(sql.Literal(role.valid_until))
        out.append(create)
    for role in roles:
        name = sql.Identifier(role.name)
        for group in role.member_of:
            out.append(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), name))
        for entry in role.settings:
            out.append(
                sql.SQL("ALTER ROLE {} SET {}").format(name, assignment(entry)),
            )
    return out


def _values(pair: Grant | Setting) -> tuple[Any, ...]:
    return tuple(asdict(pair).values())
