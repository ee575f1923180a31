-- User mappings: the names of their options, as far as they may be seen, and only the values that are no secret.
SELECT coalesce(json_agg(json_build_object('server', u.srvname, 'user', CASE WHEN u.umuser = 0 THEN '' ELSE u.usename END,
  'readable', u.umoptions IS NOT NULL,
  'options', (SELECT json_agg(CASE WHEN split_part(o, '=', 1) IN ('user', 'password_required', 'sslmode') THEN o ELSE split_part(o, '=', 1) || '=[hidden]' END)
    FROM unnest(u.umoptions) o)) ORDER BY u.srvname, u.usename), '[]')
FROM pg_user_mappings u
