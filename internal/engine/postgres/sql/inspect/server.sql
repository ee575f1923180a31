-- One row: the server, the database, who asks, and what else the login may read.
SELECT json_build_object(
  'serverversionnum', current_setting('server_version_num')::int,
  'serverid', (SELECT system_identifier::text FROM pg_control_system()),
  'currentuser', current_user,
  'database', (
    SELECT json_build_object('oid', d.oid::bigint, 'name', d.datname, 'owner', pg_get_userbyid(d.datdba), 'acl', (
      SELECT coalesce(json_agg(json_build_object(
        'grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
        'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
      FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a))
    FROM pg_database d WHERE d.datname = current_database())
)
