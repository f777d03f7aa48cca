"""Whose the objects of a restored database are.

The dump only says which name belongs to whom. What is given away is read from the catalogue: what
the restore itself made, by the names that the server has for it. So no text of a dump is run here,
and nothing of an extension or of the system changes hands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stockctl.backup.archive import Contents
from stockctl.system.postgres import errors

if TYPE_CHECKING:
    from psycopg import Connection

Key = tuple[str, str, str]  # catalogue, schema, name as pg_dump writes it
# Catalogue, how its columns begin, what else the name is; whether its objects are in schemas.
_CATALOGUES = {
    "pg_class": ("rel", True),
    "pg_collation": ("coll", True),
    "pg_conversion": ("con", True),
    "pg_event_trigger": ("evt", False),
    "pg_foreign_data_wrapper": ("fdw", False),
    "pg_foreign_server": ("srv", False),
    "pg_largeobject_metadata": ("lom", False),
    "pg_namespace": ("nsp", False),
    "pg_opclass": ("opc", True),
    "pg_operator": ("opr", True),
    "pg_opfamily": ("opf", True),
    "pg_proc": ("pro", True),
    "pg_publication": ("pub", False),
    "pg_statistic_ext": ("stx", True),
    "pg_ts_config": ("cfg", True),
    "pg_ts_dict": ("dict", True),
    "pg_type": ("typ", True),
}
# What has no owner of its own goes with what it belongs to: indexes, row types, arrays.
_ONLY = {
    "pg_class": "relkind IN ('r', 'p', 'v', 'm', 'S', 'f')",
    "pg_type": "(typtype IN ('d', 'e', 'r') OR typtype = 'b' AND typcategory <> 'A' OR"
    " typtype = 'c' AND EXISTS (SELECT FROM pg_class WHERE oid = typrelid AND relkind = 'c'))",
}
# format_function_signature and format_aggregate_signature in pg_dump.c
_SIGNATURE = """
proname || '(' || CASE WHEN prokind = 'a' AND pronargs = 0 THEN '*' ELSE (
  SELECT coalesce(string_agg(format_type(t, NULL), ', ' ORDER BY n), '')
  FROM unnest(proargtypes) WITH ORDINALITY AS a(t, n)) END || ')'
"""
# Not the system's, whose numbers are below, and not of an extension.
_MADE = """
{only} AND oid >= 16384 AND NOT EXISTS (
  SELECT FROM pg_depend
  WHERE classid = '{dependent}'::regclass AND objid = o.oid AND deptype = 'e')
"""
_OWNED = """
SELECT '{catalogue}', {schema}, {name}, i.type, i.identity
FROM {catalogue} o, pg_identify_object('{dependent}'::regclass, o.oid, 0) i
WHERE {begin}owner = {role}::regrole AND {made}
"""
_OWNERS = "SELECT pg_get_userbyid({begin}owner)::text FROM {catalogue} o WHERE {made}"
# It is there from the beginning, and in a dump only where it is somebody's own.
_PUBLIC = """
SELECT 'pg_namespace', '', 'public', 'schema', 'public'
FROM pg_namespace WHERE nspname = 'public' AND nspowner = 'pg_database_owner'::regrole
"""
# By pg_dump's words; the other kinds have no owner, or that of what they belong to.
_KINDS = {
    "AGGREGATE": "pg_proc",
    "BLOB": "pg_largeobject_metadata",
    "COLLATION": "pg_collation",
    "CONVERSION": "pg_conversion",
    "DOMAIN": "pg_type",
    "EVENT TRIGGER": "pg_event_trigger",
    "FOREIGN DATA WRAPPER": "pg_foreign_data_wrapper",
    "FOREIGN TABLE": "pg_class",
    "FUNCTION": "pg_proc",
    "MATERIALIZED VIEW": "pg_class",
    "OPERATOR": "pg_operator",
    "OPERATOR CLASS": "pg_opclass",
    "OPERATOR FAMILY": "pg_opfamily",
    "PROCEDURE": "pg_proc",
    "PUBLICATION": "pg_publication",
    "SCHEMA": "pg_namespace",
    "SEQUENCE": "pg_class",
    "SERVER": "pg_foreign_server",
    "STATISTICS": "pg_statistic_ext",
    "TABLE": "pg_class",
    "TEXT SEARCH CONFIGURATION": "pg_ts_config",
    "TEXT SEARCH DICTIONARY": "pg_ts_dict",
    "TYPE": "pg_type",
    "VIEW": "pg_class",
}
# Where pg_identify_object and ALTER have other words for it.
_WORDS = {
    "composite type": "TYPE",
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
    "statistics object": "STATISTICS",
}
PUBLIC: Key = ("pg_namespace", "", "public")
_LINKED = "sequence"  # of a column: goes with its table, so tables come first


@dataclass(frozen=True, slots=True)
class Owned:
    """One object, and how ALTER calls it."""

    key: Key
    kind: str
    identity: str

    def give(self, owner: str) -> Any:
        from psycopg import sql

        words = _WORDS.get(self.kind, self.kind.upper())
        return sql.SQL("ALTER {} {} OWNER TO {}").format(
            sql.SQL(words), sql.SQL(self.identity), sql.Identifier(owner)
        )


def owners(contents: Contents) -> dict[Key, str]:
    """By the dump. A name that several objects have (operators) is there if they have one owner."""
    found: dict[Key, set[str]] = defaultdict(set)
    for entry in contents.entries:
        if entry.kind == "BLOB METADATA":
            names, catalogue = entry.sql.split(), _KINDS["BLOB"]
        else:
            names, catalogue = [entry.name], _KINDS.get(entry.kind, "")
        for name in names if catalogue else ():
            found[catalogue, entry.schema, name].add(entry.owner)
    return {key: next(iter(names)) for key, names in found.items() if len(names) == 1}


def owned_by(inside: Connection[Any], role: str) -> list[Owned]:
    """What the role owns in the connection's database; tables before their sequences."""
    from psycopg import sql

    literal = sql.Literal(sql.Identifier(role).as_string(inside)).as_string(inside)
    queries = [_owned(catalogue, literal) for catalogue in _CATALOGUES]
    with errors("look what was restored"), inside.transaction():
        inside.execute("SET LOCAL search_path = ''")  # as pg_dump has it: names come qualified
        rows = inside.execute(" UNION ALL ".join((*queries, _PUBLIC)).encode()).fetchall()
    found = [Owned((c, _plain(s), n), kind, identity) for c, s, n, kind, identity in rows]
    return sorted(found, key=lambda each: each.kind == _LINKED)


def owners_in(inside: Connection[Any]) -> frozenset[str]:
    """Who owns something in the connection's database that a dump of it would hold."""
    queries = [
        _OWNERS.format(catalogue=catalogue, begin=begin, made=_made(catalogue))
        for catalogue, (begin, _in_schemas) in _CATALOGUES.items()
    ]
    with errors("look who owns what"):
        rows = inside.execute(" UNION ".join(queries).encode()).fetchall()
    return frozenset(name for (name,) in rows)


def _owned(catalogue: str, role: str) -> str:
    begin, in_schemas = _CATALOGUES[catalogue]
    names = {"pg_proc": _SIGNATURE, "pg_largeobject_metadata": "oid::text"}
    return _OWNED.format(
        catalogue=catalogue,
        dependent=_dependent(catalogue),
        begin=begin,
        name=names.get(catalogue, f"{begin}name"),
        schema=f"{begin}namespace::regnamespace::text" if in_schemas else "''",
        made=_made(catalogue),
        role=role,
    )


def _made(catalogue: str) -> str:
    if catalogue == "pg_largeobject_metadata":  # of any number, and of no extension
        return "true"
    return _MADE.format(only=_ONLY.get(catalogue, "true"), dependent=_dependent(catalogue))


def _dependent(catalogue: str) -> str:
    """What pg_depend calls it."""
    return catalogue.removesuffix("_metadata")


def give_to_others(inside: Connection[Any], role: str, others: Mapping[Key, str]) -> list[str]:
    """What `role` owns and `others` names becomes theirs. Returns what they could not be given."""
    from psycopg import Error, OperationalError

    if not others:
        return []
    left = []
    inside.execute("SET synchronous_commit = off")  # the swap, later, waits for all of it
    for each in owned_by(inside, role):
        wanted = others.get(each.key, role)
        try:
            if wanted != role:
                inside.execute(each.give(wanted))
        except OperationalError:
            raise
        except Error:
            left.append(f"{each.kind} {each.identity} to {wanted}")
    return left


def _plain(schema: str) -> str:
    """`regnamespace` quotes where it must."""
    return schema[1:-1].replace('""', '"') if schema.startswith('"') else schema
