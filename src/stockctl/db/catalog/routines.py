"""Schemas, types, functions and what is built of functions."""

from __future__ import annotations

from stockctl.db.catalog.fragments import FIRST_OID, Query, grants, options, role, users
from stockctl.db.catalog.relations import NOT_TEMPORARY

SCHEMAS = Query(
    "pg_namespace",
    f"""
SELECT 'schema', n.oid, quote_ident(n.nspname), '', format('CREATE SCHEMA %I', n.nspname),
       NULL::text[], {role("n.nspowner")}, {grants("n.nspacl", "n", "n.nspowner")}
  FROM pg_namespace AS n
 WHERE n.nspname = 'public' OR {NOT_TEMPORARY} AND {users("n.oid", "pg_namespace")}
""",
)

EXTENSIONS = Query(
    "pg_extension",
    """
SELECT 'extension', x.oid, quote_ident(x.extname), '',
       format('CREATE EXTENSION %I SCHEMA %s VERSION %L', x.extname, x.extnamespace::regnamespace,
         x.extversion),
       ARRAY['OWNER TO ' || quote_ident(pg_get_userbyid(x.extowner))], NULL, NULL::text[]
  FROM pg_extension AS x
""",
)

TYPES = Query(
    "pg_type",
    f"""
SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, t.oid,
       format('%I.%I', n.nspname, t.typname), '',
       CASE t.typtype
         WHEN 'e' THEN format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
           (SELECT string_agg(E'\\n    ' || quote_literal(e.enumlabel), ','
                    ORDER BY e.enumsortorder)
              FROM pg_enum AS e WHERE e.enumtypid = t.oid))
         WHEN 'd' THEN format('CREATE DOMAIN %I.%I AS %s', n.nspname, t.typname,
           format_type(t.typbasetype, t.typtypmod))
         WHEN 'r' THEN (SELECT format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s, MULTIRANGE = %s)',
             n.nspname, t.typname, r.rngsubtype::regtype, r.rngmultitypid::regtype)
           || ' OPCLASS ' || (SELECT quote_ident(o.opcname) FROM pg_opclass AS o
                               WHERE o.oid = r.rngsubopc)
           || ' ' || concat_ws(' ', nullif(r.rngcanonical, 0)::regproc,
                nullif(r.rngsubdiff, 0)::regproc,
                'COLLATION ' || nullif(r.rngcollation, 0)::regcollation)
            FROM pg_range AS r WHERE r.rngtypid = t.oid)
         ELSE format('CREATE TYPE %I.%I (%s)', n.nspname, t.typname, concat_ws(', ', t.typinput,
           t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze,
           t.typsubscript, t.typlen, t.typbyval, t.typcategory, t.typispreferred, t.typdelim,
           t.typalign, t.typstorage, t.typisdefined, t.typelem::regtype, t.typcollation)) END,
       ARRAY['DEFAULT ' || t.typdefault,
         CASE WHEN t.typtype = 'd' AND t.typnotnull THEN 'NOT NULL' END,
         CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation
           THEN 'COLLATE ' || t.typcollation::regcollation END],
       {role("t.typowner")}, {grants("t.typacl", "T", "t.typowner")}
  FROM pg_type AS t
  JOIN pg_namespace AS n ON n.oid = t.typnamespace
  LEFT JOIN pg_type AS b ON b.oid = t.typbasetype
 WHERE t.typtype IN ('e', 'd', 'r', 'b', 'p') AND {NOT_TEMPORARY} AND {users("t.oid", "pg_type")}
   AND NOT EXISTS (SELECT FROM pg_type AS a WHERE a.typarray = t.oid)
   AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass
                      AND d.objid = t.oid AND d.deptype = 'i')
""",
)

_SIGNATURE = "format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))"
FUNCTIONS = Query(
    "pg_proc",
    f"""
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, p.oid, {_SIGNATURE}, '',
       rtrim(pg_get_functiondef(p.oid), E'\\n'),
       ARRAY[(SELECT 'DEPENDS ON EXTENSION ' || string_agg(quote_ident(x.extname), ', ' ORDER BY 1)
                FROM pg_depend AS d JOIN pg_extension AS x ON x.oid = d.refobjid
               WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'x')],
       {role("p.proowner")}, {grants("p.proacl", "f", "p.proowner")}
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE p.prokind <> 'a' AND {NOT_TEMPORARY} AND {users("p.oid", "pg_proc")}
   AND NOT EXISTS (SELECT FROM pg_depend AS i WHERE i.classid = 'pg_proc'::regclass
                      AND i.objid = p.oid AND i.deptype = 'i')
""",
)

AGGREGATES = Query(
    "pg_proc",
    f"""
SELECT 'aggregate', p.oid, {_SIGNATURE}, '',
       format('CREATE AGGREGATE %s RETURNS %s', {_SIGNATURE}, p.prorettype::regtype),
       ARRAY[concat_ws(', ', 'KIND ' || a.aggkind::text, 'SFUNC ' || a.aggtransfn,
               'STYPE ' || a.aggtranstype::regtype, 'SSPACE ' || a.aggtransspace,
               'FINALFUNC ' || nullif(a.aggfinalfn, 0)::regproc, a.aggfinalextra,
               a.aggfinalmodify, 'COMBINEFUNC ' || nullif(a.aggcombinefn, 0)::regproc,
               'SERIALFUNC ' || nullif(a.aggserialfn, 0)::regproc,
               'DESERIALFUNC ' || nullif(a.aggdeserialfn, 0)::regproc,
               'INITCOND ' || quote_literal(a.agginitval),
               'SORTOP ' || nullif(a.aggsortop, 0)::regoper,
               'MSFUNC ' || nullif(a.aggmtransfn, 0)::regproc,
               'MINVFUNC ' || nullif(a.aggminvtransfn, 0)::regproc,
               'MFINALFUNC ' || nullif(a.aggmfinalfn, 0)::regproc,
               'MINITCOND ' || quote_literal(a.aggminitval), 'PARALLEL ' || p.proparallel::text)],
       {role("p.proowner")}, {grants("p.proacl", "f", "p.proowner")}
  FROM pg_aggregate AS a
  JOIN pg_proc AS p ON p.oid = a.aggfnoid
  JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE {users("p.oid", "pg_proc")}
""",
)

EVENT_TRIGGERS = Query(
    "pg_event_trigger",
    f"""
SELECT 'event trigger', e.oid, quote_ident(e.evtname), '',
       format('CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION %s', e.evtname, e.evtevent,
         e.evtfoid::regproc),
       ARRAY[{options("WHEN TAG IN", "e.evttags")},
         CASE e.evtenabled WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA'
           WHEN 'A' THEN 'ENABLED ALWAYS' END],
       {role("e.evtowner")}, NULL::text[]
  FROM pg_event_trigger AS e WHERE {users("e.oid", "pg_event_trigger")}
""",
)

# What initdb made and somebody has opened or closed since; both rest where nobody did.
SYSTEM_PRIVILEGES = Query(
    "",
    f"""
SELECT 'privileges', 0::oid, s.oid::regprocedure::text, '', 'system function', NULL::text[], NULL,
       {grants("s.proacl", "f", "s.proowner")}
  FROM pg_proc AS s
  LEFT JOIN pg_init_privs AS i ON i.classoid = 'pg_proc'::regclass AND i.objoid = s.oid
 WHERE s.oid < {FIRST_OID} AND s.pronamespace = 'pg_catalog'::regnamespace
   AND s.proacl IS DISTINCT FROM i.initprivs
UNION ALL
SELECT 'privileges', 0, c.oid::regclass::text, '', 'system table', NULL, NULL,
       {grants("c.relacl", "r", "c.relowner")}
  FROM pg_class AS c
  LEFT JOIN pg_init_privs AS i ON i.classoid = 'pg_class'::regclass AND i.objoid = c.oid
        AND i.objsubid = 0
 WHERE c.oid < {FIRST_OID} AND c.relnamespace = 'pg_catalog'::regnamespace
   AND c.relacl IS DISTINCT FROM i.initprivs
""",
)

QUERIES = (
    SCHEMAS,
    EXTENSIONS,
    TYPES,
    FUNCTIONS,
    AGGREGATES,
    EVENT_TRIGGERS,
    SYSTEM_PRIVILEGES,
)
