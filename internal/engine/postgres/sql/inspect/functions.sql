-- Routines outside the system's schemas; postern_catalog is compared as a whole (rendered.sql).
SELECT coalesce(json_agg(json_build_object(
  'oid', p.oid::bigint, 'name', json_build_object('schema', n.nspname, 'name', p.proname),
  'arguments', CASE p.prokind WHEN 'a' THEN oidvectortypes(p.proargtypes) ELSE pg_get_function_identity_arguments(p.oid) END, 'kind', ascii(p.prokind::text), 'owner', pg_get_userbyid(p.proowner),
  'securitydefiner', p.prosecdef, 'language', l.lanname,
  'extension', coalesce((
    SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'), ''),
  'acl', (
    SELECT coalesce(json_agg(json_build_object(
      'grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
      'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a)
)), '[]')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'postern_catalog')
