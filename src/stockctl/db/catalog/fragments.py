"""Pieces of SQL that most queries of the catalog share.

A query gives, for each object: kind, oid, name, home, head, tail, owner, grants. `head` and `tail`
are the text around the columns of what has columns; `tail` is lines, NULL where there is nothing
to say. Each row's class is the catalog that holds it, for comments and labels.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """One kind of objects: where they are recorded, and how to read them all."""

    catalog: str
    sql: str


# 16384 is FirstNormalObjectId (src/include/access/transam.h): what is below, initdb made
FIRST_OID = 16384


def role(oid: str) -> str:
    """A role's name. The one that migrates is CURRENT_ROLE, so that a database can be compared
    with another one in which somebody else is that."""
    return (
        f"CASE {oid}::oid WHEN 0 THEN 'PUBLIC'"
        " WHEN current_setting('stockctl.migrator')::oid THEN 'CURRENT_ROLE'"
        f" ELSE quote_ident(pg_get_userbyid({oid})) END"
    )


def grants(acl: str, kind: str = "", owner: str = "") -> str:
    """Privileges as lines, in an order that does not depend on when they were given.

    `kind` and `owner` are for `acldefault`: no entry means the defaults, and GRANT writes those
    down (https://www.postgresql.org/docs/current/ddl-priv.html).
    """
    full = f"coalesce({acl}, acldefault('{kind}', {owner}))" if kind else acl
    return f"""ARRAY(
        SELECT 'GRANT ' || string_agg(privilege_type, ', ' ORDER BY privilege_type)
               || ' TO ' || {role("grantee")}
               || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
          FROM aclexplode({full}) GROUP BY grantee, is_grantable ORDER BY 1)"""


def row_of(oid: str) -> str:
    """The row of pg_class, looked up. In a database that was made a moment ago the planner thinks
    that there are few, and would compare each index with each relation; OFFSET keeps it from that.
    """
    return f"CROSS JOIN LATERAL (SELECT * FROM pg_class WHERE oid = {oid} OFFSET 0) AS c"


def users(oid: str, catalog: str) -> str:
    """Whether somebody made it: not initdb, not an extension."""
    return f"""{oid} >= {FIRST_OID} AND NOT EXISTS (
        SELECT FROM pg_depend AS member
         WHERE member.classid = '{catalog}'::regclass AND member.objid = {oid}
           AND member.deptype = 'e')"""


def options(name: str, expression: str) -> str:
    """`name (a=1, b=2)`, or NULL. Sorted: the order in which they were set says nothing."""
    return (
        f"CASE WHEN {expression} IS NOT NULL THEN '{name} (' || array_to_string("
        f"ARRAY(SELECT unnest({expression}) ORDER BY 1), ', ') || ')' END"
    )
