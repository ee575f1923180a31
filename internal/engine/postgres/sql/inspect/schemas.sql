-- Schemas that are not the system's.
SELECT coalesce(json_agg(json_build_object(
  'oid', n.oid::bigint, 'name', n.nspname, 'owner', pg_get_userbyid(n.nspowner),
  'comment', coalesce(obj_description(n.oid, 'pg_namespace'), ''),
  'acl', (
    SELECT coalesce(json_agg(json_build_object(
      'grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
      'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a)
)), '[]')
FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
