-- Tables, views and sequences outside the system's schemas; postern_catalog is compared as a whole (rendered.sql).
SELECT coalesce(json_agg(json_build_object(
  'oid', c.oid::bigint, 'name', json_build_object('schema', n.nspname, 'name', c.relname), 'kind', ascii(c.relkind::text),
  'owner', pg_get_userbyid(c.relowner), 'comment', coalesce(obj_description(c.oid, 'pg_class'), ''),
  'rowsecurity', c.relrowsecurity, 'forcerowsecurity', c.relforcerowsecurity, 'ispartition', c.relispartition,
  'options', coalesce(to_json(c.reloptions), '[]'),
  'extension', coalesce((
    SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'), ''),
  'parents', (
    SELECT coalesce(json_agg(json_build_object('schema', pn.nspname, 'name', p.relname) ORDER BY i.inhseqno), '[]')
    FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE i.inhrelid = c.oid),
  'rules', (
    SELECT coalesce(json_agg(w.rulename ORDER BY w.rulename), '[]') FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN'),
  'acl', (
    SELECT coalesce(json_agg(json_build_object(
      'grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
      'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a)
)), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'postern_catalog')
