-- Memberships from 16: options of their own, and one row per grantor.
SELECT coalesce(json_agg(json_build_object(
  'role', pg_get_userbyid(m.roleid), 'member', pg_get_userbyid(m.member), 'grantor', pg_get_userbyid(m.grantor),
  'admin', m.admin_option, 'inherit', m.inherit_option, 'set', m.set_option)), '[]')
FROM pg_auth_members m
