"""Reads a database's schema from its catalogs, in a few round trips, however large it is."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from stockctl.db.catalog import on_tables, rare, relations, routines
from stockctl.db.catalog.fragments import FIRST_OID
from stockctl.db.catalog.nouns import Catalog, Item, Key
from stockctl.db.record import OWN_TABLES, TABLE

_ALWAYS = (*relations.QUERIES, *on_tables.QUERIES, *routines.QUERIES, *rare.ALWAYS)
_SALT = secrets.token_hex(16)  # see rare.USER_MAPPINGS

# A composite type is two rows, in pg_class and in pg_type; we know it by the first.
_NOTES = f"""
SELECT coalesce(r.catalog, s.classoid::regclass::text), coalesce(r.oid, s.objoid), s.objsubid,
       s.note
  FROM (SELECT classoid, objoid, objsubid, 'COMMENT IS ' || quote_literal(description) AS note
          FROM pg_description WHERE objoid >= {FIRST_OID} OR objoid = 'public'::regnamespace
        UNION ALL
        SELECT classoid, objoid, objsubid,
               format('SECURITY LABEL FOR %I IS %L', provider, label) FROM pg_seclabel) AS s
  LEFT JOIN LATERAL (SELECT 'pg_class' AS catalog, t.typrelid AS oid FROM pg_type AS t
                      WHERE s.classoid = 'pg_type'::regclass AND t.oid = s.objoid
                        AND t.typtype = 'c') AS r ON true
 ORDER BY s.note
"""
_SETTINGS = """
SELECT set_config('search_path', '', {local}),
       set_config('stockctl.own', %s, {local}), set_config('stockctl.salt', %s, {local}),
       set_config('stockctl.migrator', coalesce((
         SELECT min(relowner::bigint) FROM pg_class WHERE relname = %s AND relkind = 'r'),
         (SELECT oid FROM pg_roles WHERE rolname = current_user))::text, {local})
"""


@dataclass(slots=True)
class _Column:
    number: int
    name: str
    line: str
    grants: list[str]


@dataclass(slots=True)
class _Extras:
    """What belongs to an object and is read apart: by catalog, oid and column number."""

    columns: dict[int, list[_Column]] = field(default_factory=lambda: defaultdict(list))
    notes: dict[tuple[str, int], list[tuple[int, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )


def read_catalog(connection: Connection[Any]) -> Catalog:
    """All of it, as it is now; inside a transaction, as that sees it. Writes nothing.

    Changes settings of the session (search_path): use a connection for nothing else, or a
    transaction that is rolled back. Its statements stay prepared, so that the next reading of the
    same connection is several times as fast.
    """
    prepare(connection)
    present = {name for (name,) in connection.execute(rare.PRESENT, prepare=True)}
    queries = [*_ALWAYS, *(each for each in rare.SOMETIMES if each.catalog in present)]
    with connection.pipeline():
        columns = connection.execute(relations.COLUMNS, prepare=True)
        notes = connection.execute(_NOTES, prepare=True)
        found = [(each.catalog, connection.execute(each.sql, prepare=True)) for each in queries]
    extras = _Extras()
    for relation, number, name, line, grants in columns.fetchall():
        extras.columns[relation].append(_Column(number, name, line, grants))
    for catalog, oid, column, note in notes.fetchall():
        extras.notes[catalog, oid].append((column, note))
    items = [_item(catalog, row, extras) for catalog, rows in found for row in rows.fetchall()]
    return Catalog(tuple(sorted(items, key=lambda item: item.key)))


def prepare(connection: Connection[Any], *, local: bool = False) -> None:
    """Names are written with their schema, whatever search_path the database has; who migrates is
    the owner of the ledger, else whoever asks."""
    values = (_array(OWN_TABLES), _SALT, TABLE)
    connection.execute(_SETTINGS.format(local=local).encode(), values)


def _array(names: tuple[str, ...]) -> str:
    return "{" + ",".join(names) + "}"


def _item(catalog: str, row: tuple[Any, ...], extras: _Extras) -> Item:
    kind, oid, name, home, head, tail, owner, grants = row
    columns = extras.columns.get(oid, []) if catalog == "pg_class" else []
    notes = extras.notes.get((catalog, oid), [])
    lines = [head, *_body(columns), *(line for line in tail or () if line)]
    if owner:
        lines.append(f"OWNER TO {owner}")
    lines += grants or ()
    lines += [f"{each.name}: {grant}" for each in columns for grant in each.grants]
    lines += [note for number, note in notes if not number]
    lines += _on_columns(columns, notes)
    return Item(Key(kind, name, home or ""), "\n".join(lines))


def _body(columns: list[_Column]) -> Iterator[str]:
    if columns:
        yield "("
        yield from (f"    {each.line}," for each in columns)
        yield ")"


def _on_columns(columns: list[_Column], notes: list[tuple[int, str]]) -> Iterator[str]:
    """Numbers have gaps where a column was dropped; names are what a person knows."""
    names = {column.number: column.name for column in columns}
    for number, note in notes:
        if number:
            yield f"{names.get(number, number)}: {note}"
