"""Owners and privileges of single objects, given back as the backup has them.

Privileges are given by who restored, who owns what was restored and nothing else: so no text of a
dump runs as a superuser that could do harm as one. Only then do the objects go to their owners.
docs/decisions/0046 says what is left out, and why.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stockctl.backup.acl import Privilege, of_table, privileges, quoted
from stockctl.backup.archive import Contents
from stockctl.backup.archive_head import Entry
from stockctl.backup.giver import Giver, Roles
from stockctl.backup.ownership import give_to_others
from stockctl.backup.restorer import Restorer
from stockctl.core.progress import Progress
from stockctl.system.postgres import Database, errors

if TYPE_CHECKING:
    from psycopg import Connection

_EVERYBODYS = "pg_database_owner"  # it is whoever owns the database


def give_back(
    copy: Database,
    worker: Restorer,
    contents: Contents,
    owner: str,
    *,
    trusted: bool,
    progress: Progress,
) -> None:
    """All that was restored gets its owner and its privileges; warns of what does not. Raises
    DatabaseFailed, DatabaseUnreachable."""
    found, strange = privileges(contents)
    with copy.connect() as us, errors(f"give back the privileges in {copy.dsn.database}"):
        giver = Giver(Roles.look(us), owner, trusted)
        giver.left.refused += strange
        others = giver.owners(contents)
        if worker.own:
            with worker.entering(copy.dsn.database).connect() as restorer:
                first = [_by(each, worker.name) for each in found if not _later(each)]
                giver.give(restorer, first, us)
            giver.left.refused += give_to_others(us, worker.name, others)
            giver.give(us, [each for each in found if _later(each)], us)
        else:
            giver.left.refused += give_to_others(us, owner, others)
            giver.give(us, [_by(each, giver.heir(each.owner)) for each in found], us)
    for warning in giver.left.warnings(owner):
        progress.warn(warning)


def give_table(
    connection: Connection[Any],
    contents: Contents,
    table: Entry,
    new: str,
    owner: str,
    progress: Progress,
) -> None:
    """A copy of one table, called `new` in the same schema, gets what the table has in the backup.
    `owner` is the database's, and gets it where the other is not to be had."""
    from psycopg import Error, sql

    giver = Giver(Roles.look(connection), owner, trusted=False)
    heir, on = giver.heir(table.owner), f"{quoted(table.schema)}.{quoted(new)}"
    give = sql.SQL("ALTER TABLE {} OWNER TO {}")
    try:
        with connection.transaction():
            connection.execute(give.format(sql.SQL(on), sql.Identifier(heir)))
    except Error:
        if heir == owner:
            raise
        giver.left.closed.add(heir)
        heir = owner
        connection.execute(give.format(sql.SQL(on), sql.Identifier(heir)))
    found = [_by(replace(each, on=on), heir) for each in of_table(contents, table)]
    giver.give(connection, found, connection)
    for warning in giver.left.warnings(owner):
        progress.warn(warning)


def _later(each: Privilege) -> bool:
    """Takes more than who restored may do."""
    return each.is_default or bool(each.grantor)


def _by(each: Privilege, owner: str) -> Privilege:
    """The same while the object is another's: what the owner has, this one has."""
    if each.is_default or each.role != each.owner or each.owner == _EVERYBODYS:
        return each
    return replace(each, role=owner)
