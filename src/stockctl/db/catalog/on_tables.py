"""What hangs on a table: constraints, indexes, triggers, rules, policies, statistics."""

from __future__ import annotations

from stockctl.db.catalog.fragments import Query, role, row_of, users
from stockctl.db.catalog.relations import NOT_ON_OWN, NOT_TEMPORARY

CONSTRAINTS = Query(
    "pg_constraint",
    f"""
SELECT 'constraint', k.oid, quote_ident(k.conname),
       CASE WHEN k.conrelid <> 0 THEN k.conrelid::regclass::text ELSE k.contypid::regtype::text END,
       format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)),
       ARRAY[
         CASE WHEN k.coninhcount > 0 THEN
           CASE WHEN k.conislocal THEN '/* also inherited */' ELSE '/* inherited */' END END,
         (SELECT string_agg(format('%s TRIGGER %s', CASE t.tgenabled WHEN 'D' THEN 'DISABLED'
                   WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, t.tgfoid::regproc), ', ' ORDER BY 1)
            FROM pg_trigger AS t
           WHERE t.tgconstraint = k.oid AND t.tgisinternal AND t.tgenabled <> 'O')],
       NULL, NULL::text[]
  FROM pg_constraint AS k
  JOIN pg_namespace AS n ON n.oid = k.connamespace
 WHERE k.contype <> 't' AND {NOT_TEMPORARY} AND {NOT_ON_OWN.format("k.conrelid")}
   AND {users("k.oid", "pg_constraint")}
   AND (k.conrelid = 0 OR {users("k.conrelid", "pg_class")})
   AND (k.contypid = 0 OR {users("k.contypid", "pg_type")})
""",
)

INDEXES = Query(
    "pg_class",
    f"""
SELECT 'index', c.oid, format('%I.%I', n.nspname, c.relname), i.indrelid::regclass::text,
       pg_get_indexdef(c.oid),
       ARRAY[
         'TABLESPACE ' || quote_ident(s.spcname),
         CASE WHEN NOT i.indisvalid THEN 'INVALID' END,
         CASE WHEN i.indisclustered THEN 'CLUSTER ON' END,
         CASE WHEN i.indisreplident THEN 'REPLICA IDENTITY' END,
         (SELECT 'PARTITION OF ' || string_agg(h.inhparent::regclass::text, ', ')
            FROM pg_inherits AS h WHERE h.inhrelid = c.oid),
         (SELECT string_agg(format('COLUMN %s STATISTICS %s', a.attnum, a.attstattarget), ', '
                   ORDER BY a.attnum)
            FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attstattarget >= 0)],
       NULL, NULL::text[]
  FROM pg_index AS i
  {row_of("i.indexrelid")}
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
 WHERE {NOT_TEMPORARY} AND n.nspname <> 'pg_toast' AND {NOT_ON_OWN.format("i.indrelid")}
   AND {users("c.oid", "pg_class")} AND {users("i.indrelid", "pg_class")}
""",
)

_ENABLED = (
    "CASE {} WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA'"
    " WHEN 'A' THEN 'ENABLED ALWAYS' END"
)

TRIGGERS = Query(
    "pg_trigger",
    f"""
SELECT 'trigger', t.oid, quote_ident(t.tgname), t.tgrelid::regclass::text,
       pg_get_triggerdef(t.oid),
       ARRAY[{_ENABLED.format("t.tgenabled")},
         CASE WHEN t.tgparentid <> 0 THEN '/* of the partitioned table */' END,
         (SELECT 'DEPENDS ON EXTENSION ' || string_agg(quote_ident(x.extname), ', ' ORDER BY 1)
            FROM pg_depend AS d JOIN pg_extension AS x ON x.oid = d.refobjid
           WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'x')],
       NULL, NULL::text[]
  FROM pg_trigger AS t
 WHERE NOT t.tgisinternal AND {NOT_ON_OWN.format("t.tgrelid")} AND {users("t.oid", "pg_trigger")}
   AND {users("t.tgrelid", "pg_class")}
""",
)

RULES = Query(
    "pg_rewrite",
    f"""
SELECT 'rule', r.oid, quote_ident(r.rulename), r.ev_class::regclass::text, pg_get_ruledef(r.oid),
       ARRAY[{_ENABLED.format("r.ev_enabled")}], NULL, NULL::text[]
  FROM pg_rewrite AS r
 WHERE r.rulename <> '_RETURN' AND {NOT_ON_OWN.format("r.ev_class")}
   AND {users("r.oid", "pg_rewrite")}
""",
)

POLICIES = Query(
    "pg_policy",
    f"""
SELECT 'policy', p.oid, quote_ident(p.polname), p.polrelid::regclass::text,
       format('CREATE POLICY %I ON %s', p.polname, p.polrelid::regclass),
       ARRAY[
         'AS ' || CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
         'FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
           WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
         'TO ' || (SELECT string_agg({role("r")}, ', ' ORDER BY r) FROM unnest(p.polroles) AS r),
         'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
         'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'],
       NULL, NULL::text[]
  FROM pg_policy AS p WHERE {users("p.oid", "pg_policy")}
""",
)

STATISTICS = Query(
    "pg_statistic_ext",
    f"""
SELECT 'statistics', s.oid, format('%I.%I', n.nspname, s.stxname), s.stxrelid::regclass::text,
       pg_get_statisticsobjdef(s.oid), ARRAY['STATISTICS ' || nullif(s.stxstattarget, -1)],
       {role("s.stxowner")}, NULL::text[]
  FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
 WHERE {users("s.oid", "pg_statistic_ext")}
""",
)

QUERIES = (CONSTRAINTS, INDEXES, TRIGGERS, RULES, POLICIES, STATISTICS)
