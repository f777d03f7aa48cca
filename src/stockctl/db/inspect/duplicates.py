"""Indexes that another one makes superfluous: the same, or the beginning of a longer one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from stockctl.db.inspect.reading import USER_SCHEMAS, Reader

# A key is what it reads (a column or an expression), with its operator class, collation and order.
_INDEXES = f"""
SELECT format('%I.%I', n.nspname, t.relname), format('%I.%I', n.nspname, c.relname),
       i.indexrelid::bigint, am.amname, i.indisunique, i.indisreplident OR i.indisclustered,
       (SELECT quote_ident(k.conname) FROM pg_constraint k
         WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x') LIMIT 1),
       ARRAY(SELECT concat_ws(' ', pg_get_indexdef(i.indexrelid, k, false), i.indclass[k - 1],
                              i.indcollation[k - 1], i.indoption[k - 1])
               FROM generate_series(1, i.indnkeyatts) k ORDER BY k),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false)
               FROM generate_series(i.indnkeyatts + 1, i.indnatts) k ORDER BY 1),
       concat(pg_get_expr(i.indpred, i.indrelid),
              substring(pg_get_indexdef(i.indexrelid) FROM 'NULLS NOT DISTINCT')),
       pg_relation_size(c.oid)
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_am am ON am.oid = c.relam
 WHERE {USER_SCHEMAS} AND i.indisvalid AND i.indisready AND NOT c.relispartition
 ORDER BY 1, 3
"""


@dataclass(frozen=True, slots=True)
class Index:
    """What an index can do. `marked`: a replica or CLUSTER goes by it. `predicate`: for which
    rows, and whether NULL is like NULL."""

    table: str
    name: str
    oid: int
    method: str
    unique: bool
    marked: bool
    constraint: str | None
    keys: tuple[str, ...]
    included: tuple[str, ...]
    predicate: str
    size_bytes: int

    @property
    def worth(self) -> tuple[bool, bool, bool, int]:
        """Of two that are the same the one to keep: with more duties, then the older one."""
        return (self.constraint is not None, self.unique, self.marked, -self.oid)

    def covers(self, other: Index) -> bool:
        """Whatever `other` does, this one does too."""
        if (self.method, self.predicate) != (other.method, other.predicate):
            return False
        mine, its = set(self.included), set(other.included)
        if not its <= mine or other.unique > self.unique:
            return False
        bound = bool(other.constraint) or other.marked
        if self.keys == other.keys:
            return self.worth > other.worth if its == mine else not bound
        # only a B-tree reads by its first columns, and uniqueness is of all of them
        ordered = self.method == "btree" and not (other.unique or bound)
        return ordered and self.keys[: len(other.keys)] == other.keys


@dataclass(frozen=True, slots=True)
class DuplicateIndex:
    """`kept` does all that `index` does. `kind`: duplicate or prefix."""

    index: str
    table: str
    kept: str
    kind: str
    size_bytes: int
    advice: str


def read_duplicates(reader: Reader) -> tuple[DuplicateIndex, ...]:
    """The large ones first."""
    rows = reader.rows(_INDEXES)
    found = superfluous(_index(row) for row in rows)
    return tuple(sorted(found, key=lambda each: (-each.size_bytes, each.index)))


def _index(row: tuple[Any, ...]) -> Index:
    fields: Any = (tuple(value) if isinstance(value, list) else value for value in row)
    return Index(*fields)


def superfluous(indexes: Iterable[Index]) -> Iterator[DuplicateIndex]:
    """Each index that another of its table covers; what it is kept for never goes itself."""
    by_table = groupby(sorted(indexes, key=lambda i: (i.table, i.oid)), key=lambda i: i.table)
    for _, group in by_table:
        of_table = list(group)
        for index in of_table:
            better = [other for other in of_table if other is not index and other.covers(index)]
            if better:
                yield _duplicate(index, max(better, key=lambda i: (len(i.keys), i.worth)))


def _duplicate(index: Index, kept: Index) -> DuplicateIndex:
    drop = f"DROP INDEX CONCURRENTLY {index.name};"
    if index.constraint:
        drop = f"ALTER TABLE {index.table} DROP CONSTRAINT {index.constraint};"
    kind = "duplicate" if index.keys == kept.keys else "prefix"
    return DuplicateIndex(index.name, index.table, kept.name, kind, index.size_bytes, drop)
