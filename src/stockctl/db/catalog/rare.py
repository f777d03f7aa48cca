"""What few databases have: publications, foreign servers, operators, text search and the like."""

from __future__ import annotations

from stockctl.db.catalog.fragments import FIRST_OID, Query, grants, options, role, users

PUBLICATIONS = Query(
    "pg_publication",
    f"""
SELECT 'publication', p.oid, quote_ident(p.pubname), '',
       format('CREATE PUBLICATION %I', p.pubname),
       ARRAY[(to_jsonb(p) - 'oid' - 'pubname' - 'pubowner')::text] || ARRAY(
         SELECT format('TABLE %s (%s) WHERE %s', r.prrelid::regclass,
                  (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                     FROM pg_attribute AS a
                    WHERE a.attrelid = r.prrelid AND a.attnum = ANY(r.prattrs::int2[])),
                  pg_get_expr(r.prqual, r.prrelid))
           FROM pg_publication_rel AS r WHERE r.prpubid = p.oid
         UNION ALL
         SELECT 'TABLES IN SCHEMA ' || s.pnnspid::regnamespace
           FROM pg_publication_namespace AS s WHERE s.pnpubid = p.oid ORDER BY 1),
       {role("p.pubowner")}, NULL::text[]
  FROM pg_publication AS p WHERE {users("p.oid", "pg_publication")}
""",
)

SUBSCRIPTIONS = Query(
    "pg_subscription",
    f"""
SELECT 'subscription', s.oid, quote_ident(s.subname), '',
       format('CREATE SUBSCRIPTION %I PUBLICATION %s', s.subname,
         array_to_string(s.subpublications, ', ')),
       ARRAY[CASE WHEN NOT s.subenabled THEN 'DISABLED' END], {role("s.subowner")}, NULL::text[]
  FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = s.subdbid
 WHERE d.datname = current_database()
""",
)

WRAPPERS = Query(
    "pg_foreign_data_wrapper",
    f"""
SELECT 'foreign data wrapper', w.oid, quote_ident(w.fdwname), '',
       format('CREATE FOREIGN DATA WRAPPER %I', w.fdwname),
       ARRAY['HANDLER ' || nullif(w.fdwhandler, 0)::regproc,
         'VALIDATOR ' || nullif(w.fdwvalidator, 0)::regproc,
         {options("OPTIONS", "w.fdwoptions")}],
       {role("w.fdwowner")}, {grants("w.fdwacl", "F", "w.fdwowner")}
  FROM pg_foreign_data_wrapper AS w WHERE {users("w.oid", "pg_foreign_data_wrapper")}
""",
)

SERVERS = Query(
    "pg_foreign_server",
    f"""
SELECT 'foreign server', s.oid, quote_ident(s.srvname), '',
       format('CREATE SERVER %I FOREIGN DATA WRAPPER %I', s.srvname, w.fdwname),
       ARRAY['TYPE ' || quote_literal(s.srvtype), 'VERSION ' || quote_literal(s.srvversion),
         {options("OPTIONS", "s.srvoptions")}],
       {role("s.srvowner")}, {grants("s.srvacl", "S", "s.srvowner")}
  FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
 WHERE {users("s.oid", "pg_foreign_server")}
""",
)

# The values are passwords: told apart by a hash that is worth nothing outside of this process.
USER_MAPPINGS = Query(
    "pg_user_mapping",
    f"""
SELECT 'user mapping', m.umid, {role("m.umuser")}, quote_ident(m.srvname),
       format('CREATE USER MAPPING SERVER %I', m.srvname),
       ARRAY(SELECT split_part(o, '=', 1) || ' = (value ' ||
                    left(encode(sha256((o || current_setting('stockctl.salt'))::bytea), 'hex'), 8)
                    || ')' FROM unnest(m.umoptions) AS o ORDER BY 1), NULL, NULL::text[]
  FROM pg_user_mappings AS m
""",
)

DEFAULT_PRIVILEGES = Query(
    "pg_default_acl",
    f"""
SELECT 'default privileges', d.oid, concat_ws(' ', 'of', {role("d.defaclrole")},
         'on ' || CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
           WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas'
           ELSE 'large objects' END,
         'in ' || nullif(d.defaclnamespace, 0)::regnamespace), '',
       'ALTER DEFAULT PRIVILEGES', NULL::text[], NULL, {grants("d.defaclacl")}
  FROM pg_default_acl AS d
""",
)

COLLATIONS = Query(
    "pg_collation",
    f"""
SELECT 'collation', c.oid, c.oid::regcollation::text, '',
       'CREATE COLLATION ' || c.oid::regcollation,
       ARRAY[(to_jsonb(c) - 'oid' - 'collname' - 'collnamespace' - 'collowner')::text],
       {role("c.collowner")}, NULL::text[]
  FROM pg_collation AS c WHERE {users("c.oid", "pg_collation")}
""",
)

CASTS = Query(
    "pg_cast",
    f"""
SELECT 'cast', c.oid,
       format('%s to %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)), '',
       format('CREATE CAST %s %s %s', c.castfunc::regprocedure, c.castcontext, c.castmethod),
       NULL::text[], NULL, NULL::text[]
  FROM pg_cast AS c WHERE {users("c.oid", "pg_cast")}
""",
)

OPERATORS = Query(
    "pg_operator",
    f"""
SELECT 'operator', o.oid, o.oid::regoperator::text, '',
       format('CREATE OPERATOR %s FUNCTION %s RETURNS %s', o.oid::regoperator, o.oprcode,
         o.oprresult::regtype),
       ARRAY[concat_ws(' ', 'COMMUTATOR ' || nullif(o.oprcom, 0)::regoperator,
         'NEGATOR ' || nullif(o.oprnegate, 0)::regoperator,
         'RESTRICT ' || nullif(o.oprrest, 0)::regproc,
         'JOIN ' || nullif(o.oprjoin, 0)::regproc, CASE WHEN o.oprcanmerge THEN 'MERGES' END,
         CASE WHEN o.oprcanhash THEN 'HASHES' END)],
       {role("o.oprowner")}, NULL::text[]
  FROM pg_operator AS o WHERE {users("o.oid", "pg_operator")}
""",
)

_METHOD = "(SELECT quote_ident(m.amname) FROM pg_am AS m WHERE m.oid = {})"
OPERATOR_CLASSES = Query(
    "pg_opclass",
    f"""
SELECT 'operator class', o.oid, format('%I.%I', n.nspname, o.opcname),
       {_METHOD.format("o.opcmethod")},
       format('CREATE OPERATOR CLASS FOR %s FAMILY %I.%I', o.opcintype::regtype, g.nspname,
         f.opfname),
       ARRAY[CASE WHEN o.opcdefault THEN 'DEFAULT' END,
         'STORAGE ' || nullif(o.opckeytype, 0)::regtype],
       {role("o.opcowner")}, NULL::text[]
  FROM pg_opclass AS o
  JOIN pg_namespace AS n ON n.oid = o.opcnamespace
  JOIN pg_opfamily AS f ON f.oid = o.opcfamily
  JOIN pg_namespace AS g ON g.oid = f.opfnamespace
 WHERE {users("o.oid", "pg_opclass")}
""",
)

OPERATOR_FAMILIES = Query(
    "pg_opfamily",
    f"""
SELECT 'operator family', f.oid, format('%I.%I', n.nspname, f.opfname),
       {_METHOD.format("f.opfmethod")},
       'CREATE OPERATOR FAMILY', ARRAY(
         SELECT format('OPERATOR %s %s %s', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose)
           FROM pg_amop AS a WHERE a.amopfamily = f.oid
         UNION ALL
         SELECT format('FUNCTION %s (%s, %s) %s', a.amprocnum, a.amproclefttype::regtype,
                  a.amprocrighttype::regtype, a.amproc::regprocedure)
           FROM pg_amproc AS a WHERE a.amprocfamily = f.oid ORDER BY 1),
       {role("f.opfowner")}, NULL::text[]
  FROM pg_opfamily AS f JOIN pg_namespace AS n ON n.oid = f.opfnamespace
 WHERE {users("f.oid", "pg_opfamily")}
""",
)

TEXT_SEARCH = Query(
    "pg_ts_config",
    f"""
SELECT 'text search configuration', c.oid, c.oid::regconfig::text, '',
       format('CREATE TEXT SEARCH CONFIGURATION PARSER %s',
         (SELECT quote_ident(p.prsname) FROM pg_ts_parser AS p WHERE p.oid = c.cfgparser)),
       ARRAY(SELECT format('MAPPING %s %s %s', m.maptokentype, m.mapseqno, m.mapdict::regdictionary)
               FROM pg_ts_config_map AS m WHERE m.mapcfg = c.oid
              ORDER BY m.maptokentype, m.mapseqno),
       {role("c.cfgowner")}, NULL::text[]
  FROM pg_ts_config AS c WHERE {users("c.oid", "pg_ts_config")}
""",
)

DICTIONARIES = Query(
    "pg_ts_dict",
    f"""
SELECT 'text search dictionary', d.oid, d.oid::regdictionary::text, '',
       format('CREATE TEXT SEARCH DICTIONARY TEMPLATE %s',
         (SELECT quote_ident(t.tmplname) FROM pg_ts_template AS t WHERE t.oid = d.dicttemplate)),
       ARRAY[d.dictinitoption], {role("d.dictowner")}, NULL::text[]
  FROM pg_ts_dict AS d WHERE {users("d.oid", "pg_ts_dict")}
""",
)

CONVERSIONS = Query(
    "pg_conversion",
    f"""
SELECT 'conversion', c.oid, format('%I.%I', n.nspname, c.conname), '',
       format('CREATE CONVERSION %s TO %s FROM %s', pg_encoding_to_char(c.conforencoding),
         pg_encoding_to_char(c.contoencoding), c.conproc),
       ARRAY[CASE WHEN c.condefault THEN 'DEFAULT' END], {role("c.conowner")}, NULL::text[]
  FROM pg_conversion AS c JOIN pg_namespace AS n ON n.oid = c.connamespace
 WHERE {users("c.oid", "pg_conversion")}
""",
)

# plpgsql is from initdb, and whoever ran that does not migrate.
LANGUAGES = Query(
    "pg_language",
    f"""
SELECT 'language', l.oid, quote_ident(l.lanname), '',
       format('CREATE LANGUAGE %I HANDLER %s', l.lanname, l.lanplcallfoid::regproc),
       ARRAY[CASE WHEN l.lanpltrusted THEN 'TRUSTED' END,
         'OWNER TO ' || quote_ident(pg_get_userbyid(l.lanowner))], NULL, {grants("l.lanacl")}
  FROM pg_language AS l WHERE l.lanispl
""",
)

METHODS = Query(
    "pg_am",
    f"""
SELECT 'access method', a.oid, quote_ident(a.amname), '',
       format('CREATE ACCESS METHOD %I TYPE %s HANDLER %s', a.amname, a.amtype, a.amhandler),
       NULL::text[], NULL, NULL::text[]
  FROM pg_am AS a WHERE {users("a.oid", "pg_am")}
""",
)

TRANSFORMS = Query(
    "pg_transform",
    f"""
SELECT 'transform', t.oid, format('for %s', t.trftype::regtype), '',
       format('CREATE TRANSFORM LANGUAGE %s FROM SQL %s TO SQL %s',
         (SELECT quote_ident(l.lanname) FROM pg_language AS l WHERE l.oid = t.trflang),
         t.trffromsql, t.trftosql), NULL::text[], NULL, NULL::text[]
  FROM pg_transform AS t WHERE {users("t.oid", "pg_transform")}
""",
)

ALWAYS = (LANGUAGES,)
SOMETIMES = (
    PUBLICATIONS,
    SUBSCRIPTIONS,
    WRAPPERS,
    SERVERS,
    USER_MAPPINGS,
    DEFAULT_PRIVILEGES,
    COLLATIONS,
    CASTS,
    OPERATORS,
    OPERATOR_CLASSES,
    OPERATOR_FAMILIES,
    TEXT_SEARCH,
    DICTIONARIES,
    CONVERSIONS,
    METHODS,
    TRANSFORMS,
)
# Most databases have none of these: one question instead of one for each. Not everybody may read
# the table of user mappings, but without a server there is none.
PRESENT = " UNION ALL ".join(
    f"SELECT '{each.catalog}' WHERE EXISTS (SELECT FROM"
    f" {each.catalog.replace('pg_user_mapping', 'pg_foreign_server')} WHERE oid >= {FIRST_OID})"
    for each in SOMETIMES
)
