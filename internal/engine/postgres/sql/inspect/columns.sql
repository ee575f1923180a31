-- Columns of relations in the schemas asked for ($1) and in Postern's own, and those anywhere with an ACL of their own.
SELECT coalesce(json_agg(json_build_object(
  'relation', a.attrelid::bigint, 'num', a.attnum, 'name', a.attname, 'typeoid', a.atttypid::bigint, 'typmod', a.atttypmod,
  'type', format_type(a.atttypid, a.atttypmod), 'typekind', ascii(t.typtype::text),
  'basetype', CASE WHEN t.typtype = 'd' THEN (
    WITH RECURSIVE up AS (
      SELECT b.typbasetype AS oid, b.typtypmod AS mod, 1 AS n FROM pg_type b WHERE b.oid = t.oid AND t.typtype = 'd'
      UNION ALL
      SELECT b.typbasetype, CASE WHEN b.typtypmod = -1 THEN up.mod ELSE b.typtypmod END, up.n + 1
      FROM up JOIN pg_type b ON b.oid = up.oid WHERE b.typtype = 'd')
    SELECT format_type(up.oid, up.mod) FROM up ORDER BY up.n DESC LIMIT 1) ELSE '' END,
  'collation', CASE WHEN a.attcollation <> t.typcollation THEN (
    SELECT json_build_object('schema', cn.nspname, 'name', co.collname)
    FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END,
  'notnull', a.attnotnull OR coalesce(dom.notnull, false), 'domainnotnull', coalesce(dom.notnull, false),
  'default', coalesce(pg_get_expr(ad.adbin, ad.adrelid), ''),
  'generated', CASE WHEN a.attgenerated = '' THEN 0 ELSE ascii(a.attgenerated::text) END,
  'identity', CASE WHEN a.attidentity = '' THEN 0 ELSE ascii(a.attidentity::text) END,
  'dependson', CASE WHEN a.attgenerated <> '' THEN (
    SELECT coalesce(json_agg(x.attname ORDER BY x.attname), '[]') FROM (
      SELECT DISTINCT s.attname FROM pg_depend d JOIN pg_attribute s ON s.attrelid = a.attrelid AND s.attnum = d.refobjsubid
      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid > 0 AND d.refobjsubid <> a.attnum
        AND (d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum
          OR d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid)) x) END,
  'sequence', (
    SELECT json_build_object('schema', sn.nspname, 'name', s.relname)
    FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
      AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i') ORDER BY s.oid LIMIT 1),
  'comment', CASE WHEN n.nspname = ANY ($1) THEN coalesce(col_description(a.attrelid, a.attnum), '') ELSE '' END,
  'acl', CASE WHEN a.attacl IS NOT NULL THEN (
    SELECT coalesce(json_agg(json_build_object(
      'grantee', CASE WHEN x.grantee = 0 THEN '' ELSE pg_get_userbyid(x.grantee) END,
      'grantor', pg_get_userbyid(x.grantor), 'privilege', x.privilege_type, 'grantable', x.is_grantable)), '[]')
    FROM aclexplode(a.attacl) x) END
) ORDER BY a.attrelid, a.attnum), '[]')
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN LATERAL (
  WITH RECURSIVE up AS (
    SELECT b.oid, b.typbasetype, b.typnotnull, b.typtype FROM pg_type b WHERE b.oid = t.oid AND t.typtype = 'd'
    UNION ALL
    SELECT b.oid, b.typbasetype, b.typnotnull, b.typtype FROM up JOIN pg_type b ON b.oid = up.typbasetype WHERE up.typtype = 'd')
  SELECT bool_or(up.typnotnull) AS notnull FROM up) dom ON true
LEFT JOIN pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (cardinality($1::text[]) = 0 OR n.nspname = ANY ($1) OR n.nspname ~ '^postern_' AND n.nspname <> 'postern_catalog' OR a.attacl IS NOT NULL)
