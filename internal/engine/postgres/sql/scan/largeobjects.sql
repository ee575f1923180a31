-- Large objects on which somebody else than the owner has rights, at most a thousand.
SELECT coalesce(json_agg(json_build_object('oid', m.oid::bigint, 'owner', pg_get_userbyid(m.lomowner), 'acl', (SELECT coalesce(json_agg(json_build_object('grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
    'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(m.lomacl) a))), '[]')
FROM (SELECT * FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL ORDER BY oid LIMIT 1000) m
