"""What belongs to a database and not to its dump: who may enter, settings, limits, locale.

pg_dump leaves these out without --create (https://www.postgresql.org/docs/current/app-pgdump.html).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from stockctl.core.errors import DatabaseFailed
from stockctl.system.postgres import errors

if TYPE_CHECKING:
    from psycopg import Connection

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
# GUC_LIST_QUOTE settings are stored as a list of quoted names; as one literal they would become
# a list of one (variable_is_guc_list_quote in pg_dump's dumputils.c).
_LISTS = {
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
}
_LIST_ITEM = re.compile(r'"((?:[^"]|"")*)"|([^,\s]+)')

_DATABASE = """
SELECT to_jsonb(d), pg_get_userbyid(datdba), pg_encoding_to_char(encoding), spcname,
       shobj_description(d.oid, 'pg_database')
FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = %s
"""
# Privileges that were never touched are NULL and mean the default.
_GRANTS = """
SELECT pg_get_userbyid(grantor), CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee) END,
       privilege_type, is_grantable
FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = %s
"""
_SETTINGS = """
SELECT CASE setrole WHEN 0 THEN '' ELSE pg_get_userbyid(setrole) END, entry
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase, unnest(setconfig) entry
WHERE datname = %s
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """One privilege; an empty grantee is PUBLIC."""

    grantor: str
    grantee: str
    privilege: str
    grantable: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """`name=value` for everybody, or for one role, in this database."""

    role: str
    entry: str


@dataclass(frozen=True, slots=True)
class Properties:
    """One database as PostgreSQL's catalogue has it."""

    name: str
    owner: str
    encoding: str
    tablespace: str
    locale: tuple[tuple[str, str], ...]
    connection_limit: int
    is_template: bool
    allows_connections: bool
    comment: str | None
    grants: frozenset[Grant]
    settings: frozenset[Setting]

    def create(self, name: str) -> Any:
        """CREATE DATABASE for an empty one of the same kind, closed to connections.

        The collation version is not copied: the new indexes are built with the library of today.
        """
        from psycopg import sql

        options = [
            sql.SQL("{} {}").format(sql.SQL(option), sql.Literal(value))
            for option, value in (("ENCODING", self.encoding), *self.locale)
        ]
        if self.tablespace != "pg_default":  # naming the default one takes a privilege on it
            options.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(self.tablespace)))
        return sql.SQL(
            "CREATE DATABASE {} TEMPLATE template0 ALLOW_CONNECTIONS false OWNER {} {}"
        ).format(sql.Identifier(name), sql.Identifier(self.owner), sql.SQL(" ").join(options))

    def reopen(self, name: str) -> Any:
        """Lets sessions in as this database does."""
        from psycopg import sql

        return sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {} IS_TEMPLATE {}").format(
            sql.Identifier(name),
            sql.Literal(self.allows_connections),
            sql.Literal(self.is_template),
        )


def exists(connection: Connection[Any], name: str) -> bool:
    """Whether the server has a database of that name."""
    with errors(f"look for {name}"):
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        return found.fetchone() is not None


def describe(connection: Connection[Any], name: str) -> Properties:
    """Reads them. Raises DatabaseFailed when there is no such database."""
    with errors(f"read the properties of {name}"):
        row = connection.execute(_DATABASE, (name,)).fetchone()
        grants = connection.execute(_GRANTS, (name,)).fetchall()
        settings = connection.execute(_SETTINGS, (name,)).fetchall()
    if row is None:
        raise DatabaseFailed(
            f"there is no database {name} on this server",
            hint="Create it empty, with the owner it should have, then restore.",
        )
    catalogue, owner, encoding, tablespace, comment = row
    return Properties(
        name=name,
        owner=owner,
        encoding=encoding,
        tablespace=tablespace,
        locale=_locale(catalogue),
        connection_limit=catalogue["datconnlimit"],
        is_template=catalogue["datistemplate"],
        allows_connections=catalogue["datallowconn"],
        comment=comment,
        grants=frozenset(Grant(*each) for each in grants),
        settings=frozenset(Setting(*each) for each in settings),
    )


def carry_over(connection: Connection[Any], live: Properties, new: str) -> None:
    """Gives `new` what `live` has, then compares. Raises DatabaseFailed when they differ: a copy
    that is more open, or behaves differently, does not go live."""
    with errors(f"carry the settings of {live.name} over"), connection.transaction():
        for statement in statements(live, new):
            connection.execute(statement)
    copied = describe(connection, new)
    as_live = replace(
        copied,
        name=live.name,
        comment=live.comment,
        is_template=live.is_template,
        allows_connections=live.allows_connections,
    )
    if as_live != live:
        raise DatabaseFailed(
            f"the copy's properties are not those of {live.name}",
            details="\n".join(_differences(live, as_live)),
        )


def statements(live: Properties, new: str) -> list[Any]:
    """The SQL that does it: limit, privileges (as their grantor), settings."""
    from psycopg import sql

    name = sql.Identifier(new)
    out = [
        sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
            name, sql.Literal(live.connection_limit)
        ),
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC, {}").format(
            name, sql.Identifier(live.owner)
        ),
    ]
    # The owner's first: others can pass on only what they were given.
    for grant in sorted(live.grants, key=lambda g: (g.grantor != live.owner, str(g))):
        out.extend(_grant(grant, live.owner, name))
    for setting in sorted(live.settings, key=str):
        out.append(_setting(setting, name))
    return out


def _grant(grant: Grant, owner: str, name: Any) -> list[Any]:
    from psycopg import sql

    granted = sql.SQL("GRANT {} ON DATABASE {} TO {} {}").format(
        sql.SQL(grant.privilege),
        name,
        sql.Identifier(grant.grantee) if grant.grantee else sql.SQL("PUBLIC"),
        sql.SQL("WITH GRANT OPTION" if grant.grantable else ""),
    )
    if grant.grantor == owner:
        return [granted]
    as_grantor = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(grant.grantor))
    return [as_grantor, granted, sql.SQL("RESET ROLE")]


def assignment(entry: str) -> Any:
    """`name TO value`, from `name=value` as the catalogue has it."""
    from psycopg import sql

    key, _, value = entry.partition("=")
    values = [value]
    if key in _LISTS:
        found = _LIST_ITEM.findall(value)
        values = [quoted.replace('""', '"') or plain for quoted, plain in found] or [""]
    return sql.SQL("{} TO {}").format(
        sql.Identifier(*key.split(".")), sql.SQL(", ").join(map(sql.Literal, values))
    )


def _setting(setting: Setting, name: Any) -> Any:
    from psycopg import sql

    where = sql.SQL("DATABASE {}").format(name)
    if setting.role:
        where = sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(setting.role), name)
    return sql.SQL("ALTER {} SET {}").format(where, assignment(setting.entry))


def _locale(catalogue: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """CREATE DATABASE options; the catalogue's columns changed in PostgreSQL 15 and 17."""
    provider = _PROVIDERS.get(catalogue.get("datlocprovider", "c"), "libc")
    locale = catalogue.get("datlocale") or catalogue.get("daticulocale")
    options = [("LC_COLLATE", catalogue["datcollate"]), ("LC_CTYPE", catalogue["datctype"])]
    if provider != "libc":
        options += [("LOCALE_PROVIDER", provider), (f"{provider.upper()}_LOCALE", locale)]
    if catalogue.get("daticurules"):
        options.append(("ICU_RULES", catalogue["daticurules"]))
    return tuple(options)


def _differences(live: Properties, copy: Properties) -> list[str]:
    pairs = [(f.name, getattr(live, f.name), getattr(copy, f.name)) for f in fields(live)]
    return [
        f"{name}: {before} in the live one, {after} in the copy"
        for name, before, after in pairs
        if before != after
    ]
