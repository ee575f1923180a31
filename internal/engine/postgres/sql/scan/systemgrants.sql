-- Rights on the system's objects and on extensions' objects that initdb or the extension's script did not give.
WITH now AS (
  SELECT 'table' AS kind, format('%I.%I', n.nspname, c.relname) AS object, 'pg_class'::regclass AS classid, c.oid AS objid, 0 AS objsubid,
    coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl, c.relowner AS owner
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v', 'S', 'm', 'p')
  UNION ALL
  SELECT 'column', format('%I.%I.%I', n.nspname, c.relname, a.attname), 'pg_class'::regclass, c.oid, a.attnum, a.attacl, c.relowner
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('pg_catalog', 'information_schema') AND a.attacl IS NOT NULL
  UNION ALL
  SELECT 'function', format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), 'pg_proc'::regclass, p.oid, 0,
    coalesce(p.proacl, acldefault('f', p.proowner)), p.proowner
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname IN ('pg_catalog', 'information_schema') AND (p.proacl IS NOT NULL OR EXISTS (
    SELECT FROM pg_init_privs i WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid))
  UNION ALL
  SELECT 'schema', format('%I', n.nspname), 'pg_namespace'::regclass, n.oid, 0, coalesce(n.nspacl, acldefault('n', n.nspowner)), n.nspowner
  FROM pg_namespace n WHERE n.nspname IN ('pg_catalog', 'information_schema')
)
SELECT coalesce(json_agg(json_build_object('kind', now.kind, 'object', now.object,
  'grantee', CASE WHEN x.grantee = 0 THEN '' ELSE pg_get_userbyid(x.grantee) END, 'grantor', pg_get_userbyid(x.grantor),
  'privilege', x.privilege_type, 'grantable', x.is_grantable) ORDER BY now.kind, now.object, x.grantee, x.privilege_type), '[]')
FROM now
LEFT JOIN pg_init_privs i ON i.classoid = now.classid AND i.objoid = now.objid AND i.objsubid = now.objsubid,
  aclexplode(now.acl) x
-- initdb makes information_schema after it has noted the initial rights: everybody reads it.
WHERE x.grantee <> now.owner AND NOT (now.object LIKE 'information_schema%' AND x.grantee = 0 AND x.privilege_type IN ('SELECT', 'USAGE'))
AND NOT EXISTS (
  SELECT FROM aclexplode(coalesce(i.initprivs, CASE now.kind
      WHEN 'function' THEN acldefault('f', now.owner) WHEN 'schema' THEN acldefault('n', now.owner) WHEN 'column' THEN '{}'::aclitem[]
      ELSE acldefault('r', now.owner) END)) y
  WHERE y.grantee = x.grantee AND y.privilege_type = x.privilege_type AND (y.is_grantable OR NOT x.is_grantable))
