-- Rights on settings (15 and later).
SELECT coalesce(json_agg(json_build_object('parameter', p.parname, 'acl', (SELECT coalesce(json_agg(json_build_object('grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
    'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(p.paracl) a)) ORDER BY p.parname), '[]')
FROM pg_parameter_acl p
