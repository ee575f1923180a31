-- Memberships before 16: INHERIT is the member's attribute, SET is always there.
SELECT coalesce(json_agg(json_build_object(
  'role', pg_get_userbyid(m.roleid), 'member', pg_get_userbyid(m.member), 'grantor', pg_get_userbyid(m.grantor),
  'admin', m.admin_option, 'inherit', r.rolinherit, 'set', true)), '[]')
FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
