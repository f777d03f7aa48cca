"""Gives owners and privileges of what was restored, and remembers what could not be given."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stockctl.backup.acl import Privilege
from stockctl.backup.archive import Contents
from stockctl.backup.ownership import PUBLIC, Key, owners
from stockctl.system.postgres import errors

if TYPE_CHECKING:
    from psycopg import Connection

# Who may do, by way of a function of its own, what takes a superuser
# (https://www.postgresql.org/docs/current/predefined-roles.html).
_ROLES = """
SELECT rolname, rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls OR EXISTS (
    SELECT FROM pg_roles p WHERE pg_has_role(r.oid, p.oid, 'MEMBER') AND (p.rolsuper OR p.rolname IN
      ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))),
  pg_has_role(current_user, oid, 'MEMBER')
FROM pg_roles r
"""
# A GRANT or REVOKE by somebody who may not is only a warning where he may do something else.
_NOT_GRANTED, _NOT_REVOKED = "01007", "01006"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Roles:
    """Those of a server; `mighty` could become superuser, `open_to_us` we can work as."""

    known: frozenset[str]
    mighty: frozenset[str]
    open_to_us: frozenset[str]

    @classmethod
    def look(cls, connection: Connection[Any]) -> Roles:
        with errors("look for the roles"):
            rows = connection.execute(_ROLES).fetchall()
        return cls(
            frozenset(name for name, _mighty, _open in rows),
            frozenset(name for name, mighty, _open in rows if mighty),
            frozenset(name for name, _mighty, open_ in rows if open_),
        )


def lost_roles(names: Iterable[str], owner: str) -> str:
    """A warning, before a restore and after it."""
    return (
        f"this server has no role {_listed(names)}: what they owned goes to {owner}, and what they"
        " were granted to nobody"
    )


def kept_from(names: Iterable[str], owner: str) -> str:
    """The same, of roles that are mighty."""
    return (
        f"what {_listed(names)} owned goes to {owner}: who can become superuser gets nothing out of"
        " a dump without --trust-dump"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


@dataclass(slots=True)
class LeftOut:
    """What was not given back, and why."""

    missing: set[str] = field(default_factory=set)
    mighty: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def warnings(self, owner: str) -> Iterable[str]:
        if self.missing:
            yield lost_roles(self.missing, owner)
        if self.mighty:
            yield kept_from(self.mighty, owner)
        if self.closed:
            yield (
                f"what belonged to {_listed(self.closed)} is {owner}'s now: the user of"
                " database.url is no member of them"
            )
        if self.refused:
            more = len(self.refused) - _SHOWN
            said = "; ".join(self.refused[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
            yield f"not given back, do it by hand: {said}"


@dataclass(frozen=True, slots=True)
class Giver:
    """Gives back what one restore made; `owner` is the database's."""

    roles: Roles
    owner: str
    trusted: bool
    left: LeftOut = field(default_factory=LeftOut)

    def heir(self, name: str) -> str:
        """Who gets what belonged to `name`."""
        if name not in self.roles.known:
            self.left.missing.add(name)
        elif name != self.owner and name in self.roles.mighty and not self.trusted:
            self.left.mighty.add(name)
        elif name not in self.roles.open_to_us:
            self.left.closed.add(name)
        else:
            return name
        return self.owner

    def owners(self, contents: Contents) -> dict[Key, str]:
        """Of what does not become the owner's anyway."""
        heirs = {key: self.heir(name) for key, name in owners(contents).items()}
        return {k: name for k, name in heirs.items() if name != self.owner or k == PUBLIC}

    def give(self, connection: Connection[Any], found: Iterable[Privilege], us: Any) -> None:
        """`connection` may give what is the owners'. `us`, where it is another: who may more."""
        for each in found:
            if each.role and each.role not in self.roles.known:
                self.left.missing.add(each.role)
            elif each.is_default:
                self._give_default(us, each)
            elif each.grantor:
                self._give_on(us, each)
            elif not _run(connection, each) and not self._may_we(us, connection, each):
                self.left.refused.append(each.text())

    def _may_we(self, us: Any, connection: Any, each: Privilege) -> bool:
        """Taking away does no harm, and a language that is not trusted is nobody's to grant."""
        harmless = not each.gives or each.kind == "LANGUAGE"
        return us is not connection and harmless and _run(us, each)

    def _give_default(self, us: Any, each: Privilege) -> None:
        if each.owner not in self.roles.known:
            self.left.missing.add(each.owner)
        elif not _run(us, each):
            self.left.refused.append(each.text())

    def _give_on(self, us: Any, each: Privilege) -> None:
        """What somebody passed on who had it himself."""
        if each.grantor not in self.roles.known:
            self.left.missing.add(each.grantor)
            return
        mighty = each.grantor in self.roles.mighty and not self.trusted
        if mighty or not _run(us, each):
            self.left.refused.append(each.text())


def _inside(connection: Connection[Any]) -> bool:
    """A transaction: there a statement that fails takes the others along."""
    return bool(connection.info.transaction_status)


def _run(connection: Connection[Any], each: Privilege) -> bool:
    """Whether it was done; PostgreSQL only warns where nothing came of it."""
    from psycopg import Error, OperationalError, sql

    nothing: list[bool] = []

    def hear(said: Any) -> None:
        nothing.append(said.sqlstate in (_NOT_GRANTED, _NOT_REVOKED))

    connection.add_notice_handler(hear)
    try:
        with connection.transaction() if each.grantor or _inside(connection) else nullcontext():
            if each.grantor:
                role = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(each.grantor))
                connection.execute(role)
            connection.execute(each.text().encode())
            if each.grantor:  # in a transaction of the caller's it would last
                connection.execute("RESET ROLE")
    except OperationalError:
        raise
    except Error:
        return False
    finally:
        connection.remove_notice_handler(hear)
    return not any(nothing)
