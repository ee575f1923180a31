-- Tablespaces.
SELECT coalesce(json_agg(json_build_object('name', t.spcname, 'owner', pg_get_userbyid(t.spcowner), 'location', pg_tablespace_location(t.oid),
  'acl', (SELECT coalesce(json_agg(json_build_object('grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
    'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(coalesce(t.spcacl, acldefault('t', t.spcowner))) a)) ORDER BY t.spcname), '[]')
FROM pg_tablespace t
