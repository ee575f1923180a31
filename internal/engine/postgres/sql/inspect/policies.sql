-- Row policies, as the server renders them.
SELECT coalesce(json_agg(json_build_object(
  'relation', p.polrelid::bigint, 'name', p.polname, 'permissive', p.polpermissive,
  'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
  'roles', (SELECT json_agg(CASE WHEN r = 0 THEN '' ELSE pg_get_userbyid(r) END) FROM unnest(p.polroles) r),
  'using', coalesce(pg_get_expr(p.polqual, p.polrelid), ''), 'check', coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''),
  'comment', coalesce(obj_description(p.oid, 'pg_policy'), '')
) ORDER BY p.polname), '[]')
FROM pg_policy p
