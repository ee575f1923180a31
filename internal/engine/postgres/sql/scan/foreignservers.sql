-- Foreign servers. Options are redacted before anything is kept.
SELECT coalesce(json_agg(json_build_object('name', s.srvname, 'wrapper', w.fdwname, 'owner', pg_get_userbyid(s.srvowner), 'options', s.srvoptions,
  'acl', (SELECT coalesce(json_agg(json_build_object('grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
    'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(coalesce(s.srvacl, acldefault('S', s.srvowner))) a)) ORDER BY s.srvname), '[]')
FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
