-- Every database of the cluster.
SELECT coalesce(json_agg(json_build_object(
  'oid', d.oid::bigint, 'name', d.datname, 'owner', pg_get_userbyid(d.datdba), 'allowconn', d.datallowconn, 'template', d.datistemplate,
  'connlimit', d.datconnlimit, 'connect', has_database_privilege(d.oid, 'CONNECT'),
  'acl', (SELECT coalesce(json_agg(json_build_object('grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
    'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a)
)), '[]')
FROM pg_database d
