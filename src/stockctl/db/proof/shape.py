"""Tables as whoever fills them needs to know them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from stockctl.db.catalog.fragments import FIRST_OID
from stockctl.db.record import OWN_TABLES

_COLUMNS = """
SELECT c.oid::bigint, n.nspname, c.relname, a.attnum::int, a.attname, a.atttypid::bigint,
       a.atttypmod, a.attnotnull OR coalesce(t.typnotnull, false),
       d.adbin IS NOT NULL OR a.attidentity <> '' OR t.typdefault IS NOT NULL,
       a.attgenerated <> '', pg_get_partition_constraintdef(c.oid)
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.oid >= 16384 AND n.nspname !~ '^pg_'
   AND c.relname <> ALL (%s)
   AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass
                      AND e.objid = c.oid AND e.deptype = 'e')
 ORDER BY n.nspname, c.relname, a.attnum
"""
_CONSTRAINTS = """
SELECT k.conrelid::bigint, k.conname, k.contype, k.conkey::int[], k.confrelid::bigint,
       k.confkey::int[], pg_get_constraintdef(k.oid), n.nspname, r.relname,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
               JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.number
              ORDER BY u.place)
  FROM pg_constraint AS k
  LEFT JOIN pg_class AS r ON r.oid = k.confrelid
  LEFT JOIN pg_namespace AS n ON n.oid = r.relnamespace
 WHERE k.conrelid = ANY(%s) AND k.contype IN ('c', 'f')
 ORDER BY k.conname
"""
# Indexes, too: a unique one need not be a constraint.
_UNIQUE = """
SELECT indrelid::bigint, indkey::int2[]::int[] FROM pg_index
 WHERE indisunique AND indrelid = ANY(%s)
"""
_TYPES = """
SELECT t.oid::bigint, t.typname, t.typtype, t.typcategory, t.typbasetype::bigint, t.typtypmod,
       CASE WHEN t.typcategory = 'A' THEN t.typelem::bigint ELSE 0 END,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum AS e WHERE e.enumtypid = t.oid
              ORDER BY e.enumsortorder),
       coalesce((SELECT r.rngsubtype::bigint FROM pg_range AS r WHERE r.rngtypid = t.oid), 0),
       ARRAY(SELECT a.atttypid::bigint FROM pg_attribute AS a WHERE a.attrelid = t.typrelid
                AND a.attnum > 0 AND NOT a.attisdropped AND t.typtype = 'c' ORDER BY a.attnum),
       coalesce((SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_constraint AS k
                  WHERE k.contypid = t.oid), '')
  FROM pg_type AS t WHERE t.typtype IN ('b', 'e', 'd', 'c', 'r', 'm') AND t.oid >= %s
"""


@dataclass(frozen=True, slots=True)
class Type:
    """A type as pg_type has it; `checks` is what a domain demands."""

    oid: int
    name: str
    kind: str
    category: str
    base: int
    modifier: int
    element: int
    labels: tuple[str, ...]
    subtype: int
    fields: tuple[int, ...]
    checks: str


@dataclass(frozen=True, slots=True)
class Column:
    """`modifier` as in atttypmod; `default`: the server has a value where none is given."""

    number: int
    name: str
    type: int
    modifier: int
    not_null: bool
    default: bool
    generated: bool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Column numbers here and in the table `target`, in the same order."""

    columns: tuple[int, ...]
    target: int
    keys: tuple[int, ...]
    target_name: sql.Identifier
    key_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A constraint's text, and the columns it looks at; without a name: the partition's bounds."""

    name: str | None
    columns: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table that holds rows itself: not a partitioned one, but its partitions."""

    oid: int
    schema: str
    name: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...]
    checks: tuple[Check, ...]
    unique: frozenset[int]

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def read_types(connection: Connection[Any], known: Mapping[int, Type]) -> dict[int, Type]:
    """All types, by oid. Those of `known` that initdb made are not read again."""
    found = {oid: each for oid, each in known.items() if oid < FIRST_OID}
    rows = connection.execute(_TYPES, (FIRST_OID if found else 0,)).fetchall()
    for *plain, labels, subtype, fields, checks in rows:
        found[plain[0]] = Type(*(*plain, tuple(labels), subtype, tuple(fields), checks))
    return found


def read_tables(
    connection: Connection[Any], constrained: Collection[int] = ()
) -> tuple[Table, ...]:
    """All tables that somebody's rows can be in, by name; what constrains them only of those
    whose oids are asked for, since it takes several times as long."""
    columns: dict[int, list[Column]] = defaultdict(list)
    names: dict[int, tuple[str, str, str | None]] = {}
    for oid, schema, name, *column, bounds in connection.execute(
        _COLUMNS, (list(OWN_TABLES),)
    ).fetchall():
        columns[oid].append(Column(*column))
        names[oid] = schema, name, bounds
    keys, checks, unique = _constraints(connection, list(constrained))
    for oid, (_schema, _name, bounds) in names.items():
        if bounds:
            inside = tuple(each.number for each in columns[oid] if each.name in bounds)
            checks[oid].append(Check(None, inside, bounds))
    return tuple(
        Table(
            oid,
            schema,
            name,
            tuple(columns[oid]),
            tuple(keys[oid]),
            tuple(checks[oid]),
            frozenset(unique[oid]),
        )
        for oid, (schema, name, _bounds) in names.items()
    )


_Constraints = tuple[
    dict[int, list[ForeignKey]], dict[int, list[Check]], dict[int, set[int]]
]  # by table


def _constraints(connection: Connection[Any], oids: list[int]) -> _Constraints:
    keys: dict[int, list[ForeignKey]] = defaultdict(list)
    checks: dict[int, list[Check]] = defaultdict(list)
    unique: dict[int, set[int]] = defaultdict(set)
    rows = connection.execute(_CONSTRAINTS, (oids,)).fetchall() if oids else []
    for oid, name, kind, numbers, target, targets, text, schema, relation, there in rows:
        if kind == "f":
            parent = sql.Identifier(schema, relation)
            key = ForeignKey(tuple(numbers), target, tuple(targets), parent, tuple(there))
            keys[oid].append(key)
        else:
            checks[oid].append(Check(name, tuple(numbers or ()), text))
    for oid, numbers in connection.execute(_UNIQUE, (oids,)).fetchall() if oids else []:
        unique[oid].update(numbers)
    return keys, checks, unique
