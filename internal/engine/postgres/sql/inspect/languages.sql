-- Procedural languages.
SELECT coalesce(json_agg(json_build_object(
  'name', l.lanname, 'owner', pg_get_userbyid(l.lanowner), 'trusted', l.lanpltrusted,
  'acl', (
    SELECT coalesce(json_agg(json_build_object(
      'grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END,
      'grantor', pg_get_userbyid(a.grantor), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) a)
)), '[]')
FROM pg_language l
