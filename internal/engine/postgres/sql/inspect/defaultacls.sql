-- Default privileges.
SELECT coalesce(json_agg(json_build_object(
  'role', pg_get_userbyid(d.defaclrole), 'schema', coalesce(n.nspname, ''), 'kind', ascii(d.defaclobjtype::text),
  'acl', (
    SELECT coalesce(json_agg(json_build_object(
      'grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
      'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(d.defaclacl) a)
)), '[]')
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
