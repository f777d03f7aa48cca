"""Publications of everything in a database or a schema: only a superuser can make them.

Their text comes from the dump, so it is run only where all of it is of the one form that pg_dump
writes, in which there is no room for anything else (dumpPublication, dumpPublicationNamespace in
pg_dump.c). Anything else takes a person who trusts it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stockctl.backup.archive import Contents
from stockctl.backup.archive_head import Entry

if TYPE_CHECKING:
    from psycopg import Connection

_NAME = r'([a-z_][a-z0-9_$]*|"(?:[^"]|"")+")'
_WITH = r"(?: WITH \(((?:, )?[a-z_]+ = (?:'[a-z, ]*'|[a-z]+))+\))?"
_ALL = re.compile(rf"\s*CREATE PUBLICATION {_NAME} FOR ALL TABLES{_WITH};\s*")
_SOME = re.compile(rf"\s*CREATE PUBLICATION {_NAME}{_WITH};\s*")
_SCHEMA = re.compile(rf"\s*ALTER PUBLICATION {_NAME} ADD TABLES IN SCHEMA {_NAME};\s*")
PUBLICATIONS = ("PUBLICATION", "PUBLICATION TABLES IN SCHEMA")


def publishing(entry: Entry) -> bool:
    """Whether it is of a form that is known."""
    if entry.kind == "PUBLICATION":
        return bool(_ALL.fullmatch(entry.sql) or _SOME.fullmatch(entry.sql))
    return bool(_SCHEMA.fullmatch(entry.sql))


def of_everything(contents: Contents) -> tuple[Entry, ...]:
    """Those of all tables, which can be made before there are any."""
    return tuple(e for e in contents.of_kind("PUBLICATION") if _ALL.fullmatch(e.sql))


def of_schemas(contents: Contents) -> tuple[Entry, ...]:
    """What adds schemas to others, once they are there."""
    return contents.of_kind("PUBLICATION TABLES IN SCHEMA")


def publish(connection: Connection[Any], entries: tuple[Entry, ...], owner: str) -> None:
    """Makes them, as a superuser; what is new is the restorer's, as all else is."""
    from psycopg import sql

    for entry in filter(publishing, entries):  # the others are refused before
        connection.execute(entry.sql.encode())
        if entry.kind == "PUBLICATION":
            give = sql.SQL("ALTER PUBLICATION {} OWNER TO {}")
            connection.execute(give.format(sql.Identifier(entry.name), sql.Identifier(owner)))
